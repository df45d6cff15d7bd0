//! The seam between what happens and whoever is told of it.

use std::io;

use super::ending::Ending;
use super::replay::Replay;
use crate::journal::Journal;
use crate::run::event::Event;

/// Hears the events of an apply, as they happen or from a journal, and makes something of them: a
/// document, lines, a table, a bar.
///
/// To be called in this order: [`recall`](Reporter::recall) for what an earlier invocation has left,
/// [`hear`](Reporter::hear) for every event, and [`finish`](Reporter::finish) once, after the last.
pub trait Reporter: Send {
    /// What it writes to, as in `cannot write to …`.
    fn name(&self) -> String;

    /// Whether programs depend on what it writes while the apply goes on: if it cannot be written,
    /// no further start is made. Default: no.
    fn is_vital(&self) -> bool {
        false
    }

    /// Whether it goes through every start again at the end, so that outcomes have to be kept.
    /// Default: no.
    fn needs_outcomes(&self) -> bool {
        false
    }

    /// Takes in a start that an earlier invocation has finished, or its Workflow's end. Comes
    /// before every event. Default: nothing, for who tells only what happens now.
    fn recall(&mut self, _event: &Event) {}

    /// Takes an event in. What it writes may wait until [`flush`](Reporter::flush).
    ///
    /// # Errors
    /// It cannot be written; the reporter hears nothing more.
    fn hear(&mut self, event: &Event) -> io::Result<()>;

    /// Hands over what waits, or shows how far everything is. Comes soon after an event, and now and
    /// then without one.
    ///
    /// # Errors
    /// It cannot be written; the reporter hears nothing more.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Says what it all came to. `replay` has every start again, in order, for who
    /// [needs it](Reporter::needs_outcomes).
    ///
    /// # Errors
    /// It cannot be written, or outcomes cannot be read back.
    fn finish(&mut self, ending: &Ending, replay: &mut Replay) -> io::Result<()>;
}

/// The disk hears first, and everything that a later invocation or a report needs.
impl Reporter for Journal {
    fn name(&self) -> String {
        match self.path() {
            Some(path) => format!("the journal `{}`", path.display()),
            None => "a temporary file".to_owned(),
        }
    }

    fn is_vital(&self) -> bool {
        true
    }

    fn hear(&mut self, event: &Event) -> io::Result<()> {
        self.write(event)
    }

    fn flush(&mut self) -> io::Result<()> {
        Journal::flush(self)
    }

    /// Says that it is the end, in a journal that can be gone on with.
    fn finish(&mut self, ending: &Ending, _: &mut Replay) -> io::Result<()> {
        match self.path() {
            Some(_) => self.close(&ending.started.invocation.id, &ending.finished),
            None => Ok(()),
        }
    }
}
