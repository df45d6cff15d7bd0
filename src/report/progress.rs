//! How an apply goes on, for people who watch: a bar on a terminal, a line now and then elsewhere.

use std::fmt;
use std::io;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

use super::ending::Ending;
use super::replay::Replay;
use super::reporter::Reporter;
use super::summary::Summary;
use super::words;
use crate::run::event::{Event, QueueUnserved};
use crate::visible;

/// Time between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Shows progress on standard error.
pub struct Progress {
    total: Option<u64>,
    began: Instant,
    line_due: Instant,
    waits: bool,
    /// What was heard so far, in numbers.
    summary: Summary,
    /// Since when the service does not answer.
    silent_since: Option<Instant>,
    shown: Shown,
}

enum Shown {
    Bar(ProgressBar),
    Lines(Box<dyn FnMut(&str) + Send>),
    Nothing,
}

/// Where and how progress is shown.
pub enum Audience {
    /// A terminal, which shows more than ASCII or does not.
    Terminal {
        /// Whether only ASCII is drawn.
        ascii: bool,
    },
    /// Something else, by a function that takes a line.
    Lines(Box<dyn FnMut(&str) + Send>),
    /// Nobody.
    Nobody,
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress")
            .field("total", &self.total)
            .finish_non_exhaustive()
    }
}

impl Progress {
    /// Begins to show an apply of `total` starts; `waits` says whether Workflows are waited for.
    pub fn new(total: Option<u64>, waits: bool, audience: Audience) -> Self {
        let shown = match audience {
            Audience::Nobody => Shown::Nothing,
            Audience::Lines(print) => Shown::Lines(print),
            Audience::Terminal { ascii } => {
                let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
                let style = ProgressStyle::with_template("{spinner} {wide_msg}");
                let style = style.expect("the template is right");
                bar.set_style(if ascii {
                    style.tick_chars("|/-\\ ")
                } else {
                    style
                });
                bar.enable_steady_tick(Duration::from_millis(125));
                Shown::Bar(bar)
            }
        };
        let now = Instant::now();
        Progress {
            total,
            began: now,
            line_due: now + LINE_EVERY,
            waits,
            summary: Summary::default(),
            silent_since: None,
            shown,
        }
    }

    /// Takes in what is to be seen at once and is counted nowhere.
    fn tell(&mut self, event: &Event) {
        match event {
            Event::AnswersMissed(missed) => {
                let silent = Duration::from_millis(missed.silent_ms);
                self.silent_since = Instant::now().checked_sub(silent);
                if let Shown::Lines(print) = &mut self.shown {
                    let error = missed.error.as_ref();
                    let why = error.map(|error| format!(": {}", words::error_line(error)));
                    print(&format!("{}{}", silence(silent), why.unwrap_or_default()));
                }
            }
            Event::AnswersResumed(resumed) => {
                self.silent_since = None;
                if let Shown::Lines(print) = &mut self.shown {
                    let silent = Duration::from_millis(resumed.silent_ms).as_secs();
                    print(&format!("the service answers again, after {silent} s"));
                }
            }
            Event::QueueUnserved(unserved) => {
                let QueueUnserved {
                    task_queue,
                    workflows,
                    ..
                } = unserved;
                let wait = if *workflows == 1 {
                    "Workflow waits"
                } else {
                    "Workflows wait"
                };
                let queue = visible::visible_to(task_queue, words::MAX_NAME);
                self.note(&format!(
                    "note: no Worker polls the Task Queue `{queue}`, in which {workflows} {wait}"
                ));
                self.note("  help: start a Worker for it, or mend `taskQueue`");
            }
            _ => {}
        }
    }

    /// Says a line that stays.
    fn note(&mut self, words: &str) {
        match &mut self.shown {
            Shown::Nothing => {}
            Shown::Bar(bar) => bar.println(visible::line(words)),
            Shown::Lines(print) => print(words),
        }
    }
}

impl Reporter for Progress {
    fn name(&self) -> String {
        "standard error".to_owned()
    }

    fn recall(&mut self, event: &Event) {
        self.summary.count(event);
    }

    fn hear(&mut self, event: &Event) -> io::Result<()> {
        self.summary.count(event);
        self.tell(event);
        Ok(())
    }

    /// Shows the counts so far.
    fn flush(&mut self) -> io::Result<()> {
        let line = || line(self.total, self.began, self.waits, &self.summary);
        match &mut self.shown {
            Shown::Nothing => {}
            Shown::Bar(bar) => {
                let mut line = line();
                if let Some(since) = self.silent_since {
                    line = format!("{}; {line}", silence(since.elapsed()));
                }
                bar.set_message(visible::line(&line).into_owned());
            }
            Shown::Lines(print) => {
                if Instant::now() >= self.line_due {
                    print(&line());
                    self.line_due = Instant::now() + LINE_EVERY;
                }
            }
        }
        Ok(())
    }

    /// Takes the bar away.
    fn finish(&mut self, _: &Ending, _: &mut Replay) -> io::Result<()> {
        if let Shown::Bar(bar) = &self.shown {
            bar.finish_and_clear();
        }
        self.shown = Shown::Nothing;
        Ok(())
    }
}

/// That nothing is heard.
fn silence(silent: Duration) -> String {
    format!("no answer for {} s, trying again", silent.as_secs())
}

fn line(total: Option<u64>, began: Instant, waits: bool, summary: &Summary) -> String {
    let of = total.map(|total| format!("/{total}")).unwrap_or_default();
    if waits && total == Some(summary.total) {
        let counts = summary.workflows.unwrap_or_default();
        let over = counts.running + counts.unknown;
        let ended = counts.completed + counts.ended_otherwise() + over;
        return format!("waiting: {ended}{of} ended, {}", counts.in_words());
    }
    let elapsed = began.elapsed().as_secs_f64().max(0.001);
    let rate = summary.total as f64 / elapsed;
    let throttled = summary.pace.map(|pace| {
        let digits = usize::from(pace < 10.0);
        format!(" (the service throttles, pace {pace:.digits$}/s)")
    });
    format!(
        "{}{of} starts, {rate:.0}/s: {}{}",
        summary.total,
        summary.starts_in_words(),
        throttled.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn throttling_is_told_with_the_pace_it_came_to() {
        let began = Instant::now();
        tokio::time::advance(Duration::from_secs(10)).await;
        let mut summary = Summary {
            total: 500,
            started: 500,
            ..Summary::default()
        };
        let shown = |summary: &Summary| line(Some(1000), began, false, summary);
        assert_eq!(shown(&summary), "500/1000 starts, 50/s: 500 started");
        summary.pace = Some(48.6);
        let told = "500/1000 starts, 50/s: 500 started (the service throttles, pace 49/s)";
        assert_eq!(shown(&summary), told);
        summary.pace = Some(0.5);
        assert!(shown(&summary).ends_with("(the service throttles, pace 0.5/s)"));
    }
}
