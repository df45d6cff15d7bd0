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

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    fn start(index: u64, at: &str, outcome: &str) -> Event {
        let start = json!({
            "index": index, "at": at, "source": {"file": "a.yaml", "line": 3}, "workflowId": "one",
            "type": "T", "taskQueue": "q", "requestId": "r", "outcome": outcome, "attempts": 1,
            "latencyMs": 0.25
        });
        Event::StartFinished(from_value(start).expect("it is a start's outcome"))
    }

    fn started(total: u64) -> Event {
        let started = json!({
            "at": "2026-01-01T00:01:00Z",
            "invocation": {"id": "i", "idempotencyKey": "k", "command": "apply",
                "startedAt": "2026-01-01T00:00:30Z", "version": "1"},
            "service": {"address": "a", "namespace": "n"},
            "inputs": [],
            "total": total
        });
        Event::ApplyStarted(from_value(started).expect("it is the first event"))
    }

    fn finished(stopped: Option<Stopped>) -> Event {
        let at = "2026-01-01T00:01:30Z".parse().expect("it is a time");
        Event::ApplyFinished(ApplyFinished { at, stopped })
    }

    fn ending(events: impl IntoIterator<Item = Event>) -> Ending {
        let mut tally = Tally::default();
        events.into_iter().for_each(|event| tally.count(&event));
        tally.end()
    }

    #[test]
    fn the_rate_is_that_of_this_invocation() {
        let ending = ending([
            start(0, "2026-01-01T00:00:00Z", "started"),
            started(4),
            start(1, "2026-01-01T00:01:01Z", "started"),
            start(2, "2026-01-01T00:01:04Z", "failed"),
            start(3, "2026-01-01T00:01:20Z", "skipped"),
            finished(None),
        ]);
        assert_eq!(ending.summary.total, 4);
        // Two in four seconds; what was skipped or known before was not tried.
        assert_eq!(ending.summary.starts_per_second, 0.5);
        assert_eq!(ending.took(), Duration::from_secs(60));
    }

    #[test]
    fn what_was_not_told_was_skipped_unless_it_could_not_be_expanded() {
        let input = Stopped::Input {
            message: String::new(),
        };
        for (stopped, skipped) in [(Some(Stopped::Unrecorded), 2), (None, 2), (Some(input), 0)] {
            let one = start(0, "2026-01-01T00:01:01Z", "started");
            let summary = ending([started(3), one, finished(stopped)]).summary;
            assert_eq!((summary.skipped, summary.total), (skipped, 1 + skipped));
        }
    }
}
