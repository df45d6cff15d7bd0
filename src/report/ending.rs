//! What an apply came to, counted from its events and nothing else. Exit codes depend on it alone.

use std::time::Duration;

use jiff::Timestamp;

use super::summary::Summary;
use crate::run::event::{ApplyFinished, ApplyStarted, Event, Outcome, Stopped};

/// What an apply came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Ending {
    /// How it began.
    pub started: ApplyStarted,
    /// What came of the starts, in numbers.
    pub summary: Summary,
    /// When it ended, and why before all starts were made, if it did.
    pub finished: ApplyFinished,
    /// Whether a journal or a report could not be written.
    pub unwritten: bool,
}

impl Ending {
    /// Why it ended before all starts were made, if it did.
    pub fn stopped(&self) -> Option<&Stopped> {
        self.finished.stopped.as_ref()
    }

    /// How long it took, with everything that came before the first start. By this machine's
    /// clock, which may have been set meanwhile.
    pub fn took(&self) -> Duration {
        let began = self.started.invocation.started_at;
        self.finished.at.duration_since(began).unsigned_abs()
    }
}

/// Counts events until they come to an [`Ending`].
#[derive(Debug, Default)]
pub struct Tally {
    started: Option<ApplyStarted>,
    summary: Summary,
    finished: Option<ApplyFinished>,
    /// Starts that this invocation has tried, and the time of the last outcome among them.
    tried: u64,
    last: Option<Timestamp>,
}

impl Tally {
    /// Takes an event in. What comes before [`Event::ApplyStarted`] or is older was an earlier
    /// invocation's.
    pub fn count(&mut self, event: &Event) {
        match event {
            Event::ApplyStarted(started) => self.started = Some(started.clone()),
            Event::StartFinished(finished) if finished.outcome != Outcome::Skipped => {
                let began = self.started.as_ref().map(|started| started.at);
                if began.is_some_and(|began| finished.at >= began) {
                    self.tried += 1;
                    self.last = self.last.max(Some(finished.at));
                }
            }
            Event::ApplyFinished(finished) => self.finished = Some(finished.clone()),
            _ => {}
        }
        self.summary.count(event);
    }

    /// What everything came to, after the last event.
    ///
    /// # Panics
    /// The first or the last event is missing.
    pub fn end(self) -> Ending {
        let started = self.started.expect("the first event is the beginning");
        let finished = self.finished.expect("the last event is the end");
        let mut summary = self.summary;
        // What was not told was not reached, as the program was killed before. Of starts that could
        // not be expanded nothing is told either.
        if !matches!(finished.stopped, Some(Stopped::Input { .. })) {
            let unreached = started.total.unwrap_or(0).saturating_sub(summary.total);
            summary.total += unreached;
            summary.skipped += unreached;
        }
        summary.starts_per_second = rate(self.tried, started.at, self.last);
        Ending {
            started,
            summary,
            finished,
            unwritten: false,
        }
    }
}

/// So many starts from one time to another, per second, to one digit after the point.
fn rate(starts: u64, began: Timestamp, last: Option<Timestamp>) -> f64 {
    let seconds = last.map_or(0.0, |last| last.duration_since(began).as_secs_f64());
    if seconds > 0.0 {
        (starts as f64 / seconds * 10.0).round() / 10.0
    } else {
        0.0
    }
}
