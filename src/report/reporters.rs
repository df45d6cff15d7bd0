//! Everyone who is told what happens, in one order: the disk, people, the output.

use std::fmt;
use std::io;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::ending::{Ending, Tally};
use super::replay::{Recording, Replay, UnreadJournal};
use super::reporter::Reporter;
use crate::journal::Journal;
use crate::run::event::{ApplyFinished, Event, Stopped};

/// Most events that are taken in one go.
const BATCH: usize = 256;

/// Longest time that lines wait to be handed to the system. Handing over each batch took a system
/// call for every ten starts, twice.
const FLUSH_EVERY: Duration = Duration::from_millis(50);

/// Longest time between two looks at how far everything is where nothing happens.
const SHOW_EVERY: Duration = Duration::from_secs(1);

/// The reporters of an apply.
#[derive(Default)]
pub struct Reporters {
    tally: Tally,
    journal: Option<Journal>,
    displays: Vec<Box<dyn Reporter>>,
    reports: Vec<Box<dyn Reporter>>,
    output: Option<Box<dyn Reporter>>,
    /// Whether results are left out.
    hides_results: bool,
    /// The first of those that programs depend on which could not write.
    failure: Option<WriteFailure>,
}

/// Something that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{to}: {error}")]
pub struct WriteFailure {
    /// What it was written to.
    pub to: String,
    /// What the system says.
    pub error: io::Error,
}

impl WriteFailure {
    /// Whether it is a closed pipe, which is an interrupt and no reason to complain.
    pub fn reader_is_gone(&self) -> bool {
        self.error.kind() == io::ErrorKind::BrokenPipe
    }
}

/// How telling what happened has ended.
#[derive(Debug)]
pub struct Told {
    /// What everything came to.
    pub ending: Ending,
    /// Why starting was stopped by a journal or an output that could not be written, if it was.
    pub failure: Option<WriteFailure>,
    /// The reports that could not be written.
    pub reports: Vec<WriteFailure>,
    /// The output, if it could not be written at the end.
    pub output: Option<WriteFailure>,
}

impl fmt::Debug for Reporters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reporters")
            .field("tally", &self.tally)
            .field("journal", &self.journal)
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}

impl Reporters {
    /// Adds what people watch, such as a bar. It hears first and is gone before anything else is
    /// shown.
    #[must_use]
    pub fn with_display(mut self, display: impl Reporter + 'static) -> Self {
        self.displays.push(Box::new(display));
        self
    }

    /// Adds a report file. They are written in this order, and before the output ends.
    #[must_use]
    pub fn with_report(mut self, report: Box<dyn Reporter>) -> Self {
        self.reports.push(report);
        self
    }

    /// Sets what goes to standard output. Default: nothing.
    #[must_use]
    pub fn with_output(mut self, output: Option<Box<dyn Reporter>>) -> Self {
        self.output = output;
        self
    }

    /// Leaves results out of everything, if `hides` says so.
    #[must_use]
    pub fn without_results(mut self, hides: bool) -> Self {
        self.hides_results = hides;
        self
    }

    /// Whether one of them goes through all starts again at the end, so that a journal has to keep
    /// them, if only a temporary one.
    pub fn need_outcomes(&self) -> bool {
        let mut all = self.reports.iter().chain(&self.output);
        all.any(|reporter| reporter.needs_outcomes())
    }

    /// Keeps everything in a journal from here on.
    pub fn keep_in(&mut self, journal: Journal) {
        self.journal = Some(journal);
    }

    /// Takes in what an earlier invocation has finished, before the first event.
    pub fn recall(&mut self, event: &Event) {
        self.tally.count(event);
        for reporter in self.displays.iter_mut().chain(&mut self.reports) {
            reporter.recall(event);
        }
        if let Some(output) = &mut self.output {
            output.recall(event);
        }
    }

    /// Hears everything until the last event. Cancels `stop` when one that programs depend on cannot
    /// write.
    pub async fn listen(
        mut self,
        mut events: mpsc::Receiver<Event>,
        stop: CancellationToken,
    ) -> Self {
        let mut batch = Vec::new();
        let mut tick = tokio::time::interval(SHOW_EVERY);
        // What comes after a quiet time is due at once.
        let mut due = tokio::time::interval(FLUSH_EVERY);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut unflushed = false;
        loop {
            tokio::select! {
                biased;
                _ = due.tick(), if unflushed => {
                    self.flush();
                    unflushed = false;
                }
                count = events.recv_many(&mut batch, BATCH) => {
                    if count == 0 {
                        break;
                    }
                    for event in batch.drain(..) {
                        self.hear(event);
                    }
                    unflushed = true;
                }
                _ = tick.tick() => self.flush(),
            }
            if self.failure.is_some() {
                stop.cancel();
            }
        }
        self.flush();
        self
    }

    /// Tells everyone of one event.
    pub fn hear(&mut self, mut event: Event) {
        // What is still open has no result.
        if self.hides_results
            && let Event::WorkflowEnded(ended) = &mut event
        {
            ended.workflow.result = None;
        }
        if let Event::ApplyFinished(finished) = &mut event {
            self.last_words(finished);
        }
        self.each(|reporter| reporter.hear(&event));
        self.tally.count(&event);
    }

    /// The last event says whether everything before it could be written.
    fn last_words(&mut self, finished: &mut ApplyFinished) {
        self.flush();
        if let Some(failure) = self.failure.as_ref().filter(|it| !it.reader_is_gone()) {
            // Nobody interrupted it; this is why the starts were stopped.
            finished.stopped = Some(Stopped::NotWritten {
                message: failure.to_string(),
            });
        }
    }

    fn flush(&mut self) {
        self.each(|reporter| reporter.flush());
    }

    /// Does something with everyone, in their order. Who cannot write is left out from then on.
    fn each(&mut self, mut tell: impl FnMut(&mut dyn Reporter) -> io::Result<()>) {
        let failure = &mut self.failure;
        let mut failed = |reporter: &mut dyn Reporter| {
            let Err(error) = tell(reporter) else {
                return false;
            };
            if reporter.is_vital() {
                let to = reporter.name();
                failure.get_or_insert(WriteFailure { to, error });
            }
            true
        };
        if self.journal.as_mut().is_some_and(|it| failed(it)) {
            self.journal = None;
        }
        self.displays.retain_mut(|it| !failed(it.as_mut()));
        if self.output.as_mut().is_some_and(|it| failed(it.as_mut())) {
            self.output = None;
        }
        self.reports.retain_mut(|it| !failed(it.as_mut()));
    }

    /// Lets everyone say what it all came to, after the last event.
    ///
    /// # Panics
    /// The first or the last event was not heard.
    pub fn finish(mut self) -> Told {
        let mut replay = Replay::of(self.journal.take());
        let mut told = self.finish_with(&mut replay);
        // The journal says that it is the end when everything else is written.
        if let Some(mut journal) = replay.into_journal() {
            let closed = journal.finish(&told.ending, &mut Replay::default());
            if let Err(error) = closed {
                let to = journal.name();
                told.failure = told.failure.or(Some(WriteFailure { to, error }));
                told.ending.unwritten = true;
            }
        }
        told
    }

    /// Tells everyone what journals hold, as it was told when it happened, in the order of starts.
    ///
    /// # Errors
    /// A journal cannot be read.
    pub fn replay(mut self, recording: Recording) -> Result<Told, UnreadJournal> {
        let Recording {
            started,
            finished,
            mut replay,
        } = recording;
        self.hear(Event::ApplyStarted(started));
        for record in replay.starts()? {
            for event in record?.into_events() {
                self.hear(event);
            }
        }
        self.hear(Event::ApplyFinished(finished));
        Ok(self.finish_with(&mut replay))
    }

    fn finish_with(self, replay: &mut Replay) -> Told {
        replay.hide_results(self.hides_results);
        let mut ending = self.tally.end();
        ending.unwritten = self.failure.as_ref().is_some_and(|it| !it.reader_is_gone());
        for mut display in self.displays {
            // What people watched is over.
            let _ = display.finish(&ending, replay);
        }
        let mut failed = Vec::new();
        for mut report in self.reports {
            if let Err(error) = report.finish(&ending, replay) {
                let to = report.name();
                failed.push(WriteFailure { to, error });
            }
        }
        ending.unwritten |= !failed.is_empty();
        let mut output = None;
        if let Some(mut reporter) = self.output
            && let Err(error) = reporter.finish(&ending, replay)
        {
            let to = reporter.name();
            output = Some(WriteFailure { to, error });
        }
        // A reader that has gone has seen enough.
        output = output.filter(|it| !it.reader_is_gone());
        ending.unwritten |= output.is_some();
        Told {
            ending,
            failure: self.failure,
            reports: failed,
            output,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::{from_value, json};

    use super::*;

    /// Writes down what it is told, until it fails.
    struct Scripted {
        name: &'static str,
        is_vital: bool,
        fails: Option<io::ErrorKind>,
        told: Arc<Mutex<Vec<String>>>,
    }

    impl Scripted {
        fn tell(&self, what: &str) {
            let mut told = self
                .told
                .lock()
                .expect("nothing panics while it holds this");
            told.push(format!("{} {what}", self.name));
        }
    }

    impl Reporter for Scripted {
        fn name(&self) -> String {
            self.name.to_owned()
        }

        fn is_vital(&self) -> bool {
            self.is_vital
        }

        fn hear(&mut self, _: &Event) -> io::Result<()> {
            self.tell("hears");
            self.fails.map_or(Ok(()), |kind| Err(kind.into()))
        }

        fn finish(&mut self, ending: &Ending, _: &mut Replay) -> io::Result<()> {
            self.tell(if ending.unwritten {
                "ends badly"
            } else {
                "ends"
            });
            Ok(())
        }
    }

    fn first() -> Event {
        let started = json!({
            "at": "2026-01-01T00:00:00Z",
            "invocation": {"id": "i", "idempotencyKey": "k", "command": "apply",
                "startedAt": "2026-01-01T00:00:00Z", "version": "1"},
            "service": {"address": "a", "namespace": "n"},
            "inputs": [],
            "total": 0
        });
        Event::ApplyStarted(from_value(started).expect("it is the first event"))
    }

    fn last() -> Event {
        let finished = json!({"at": "2026-01-01T00:00:01Z"});
        Event::ApplyFinished(from_value(finished).expect("it is the last event"))
    }

    /// Tells a display, an output and a report of two events; who is named fails at the first.
    async fn told(fails: &str, is_vital: bool, kind: io::ErrorKind) -> (Told, Vec<String>, bool) {
        let told = Arc::default();
        let scripted = |name: &'static str| Scripted {
            name,
            is_vital: is_vital && name == fails,
            fails: Some(kind).filter(|_| name == fails),
            told: Arc::clone(&told),
        };
        let reporters = Reporters::default()
            .with_report(Box::new(scripted("report")))
            .with_output(Some(Box::new(scripted("output"))))
            .with_display(scripted("display"));
        let (sender, receiver) = mpsc::channel(2);
        for event in [first(), last()] {
            sender.send(event).await.expect("there is room");
        }
        drop(sender);
        let stop = CancellationToken::new();
        let ended = reporters.listen(receiver, stop.clone()).await.finish();
        let told = told.lock().expect("nothing panics while it holds this");
        (ended, told.clone(), stop.is_cancelled())
    }

    #[tokio::test]
    async fn everyone_is_told_in_one_order() {
        let (ended, told, is_stopped) = told("nobody", false, io::ErrorKind::StorageFull).await;
        let order = ["display hears", "output hears", "report hears"];
        let ends = ["display ends", "report ends", "output ends"];
        assert_eq!(told, [&order[..], &order[..], &ends[..]].concat());
        assert!(!is_stopped && !ended.ending.unwritten && ended.failure.is_none());
    }

    #[tokio::test]
    async fn a_display_that_fails_stops_nothing() {
        let (ended, told, is_stopped) = told("display", false, io::ErrorKind::StorageFull).await;
        assert!(!is_stopped && ended.failure.is_none());
        assert_eq!(ended.ending.stopped(), None);
        let heard = told.iter().filter(|it| it.starts_with("display")).count();
        assert_eq!(heard, 1, "{told:?}");
        assert_eq!(told.last().map(String::as_str), Some("output ends"));
    }

    #[tokio::test]
    async fn what_programs_depend_on_stops_everything_if_it_fails() {
        let (ended, told, is_stopped) = told("output", true, io::ErrorKind::StorageFull).await;
        assert!(is_stopped && ended.ending.unwritten);
        let stopped = ended.ending.stopped();
        assert!(
            matches!(stopped, Some(Stopped::NotWritten { message }) if message.starts_with("output: "))
        );
        assert!(ended.failure.is_some_and(|it| it.to == "output"));
        assert_eq!(told.last().map(String::as_str), Some("report ends badly"));
    }

    /// It is for who stops the run to say that it was an interrupt.
    #[tokio::test]
    async fn a_reader_that_has_gone_is_no_failure() {
        let (ended, _, is_stopped) = told("output", true, io::ErrorKind::BrokenPipe).await;
        assert!(is_stopped && !ended.ending.unwritten);
        assert_eq!(ended.ending.stopped(), None);
        assert!(ended.failure.is_some_and(|it| it.reader_is_gone()));
    }
}
