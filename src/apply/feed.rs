//! Where work comes from: the starts that are not finished, and Workflows to wait for.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::mpsc;

use crate::expand::Batch;
use crate::journal::resume::Indices;
use crate::run::engine::Work;

use super::ledger::Records;

/// Starts that are expanded ahead of the engine.
const STARTS_AHEAD: usize = 64;

/// Room for expressions, whose compiler descends into them: what the main thread has.
const STACK_BYTES: usize = 8 * 1024 * 1024;

/// The work, and the thread that it comes from.
pub(super) type Fed = (mpsc::Receiver<Work>, JoinHandle<Option<String>>);

/// Where work comes from: the starts that are not finished, and Workflows to wait for.
pub(super) struct Feed {
    pub(super) batch: Batch,
    pub(super) finished: Indices,
    pub(super) to_wait_for: Option<Records>,
}

impl Feed {
    /// Expands starts on a thread of their own, a few ahead. The thread returns what went wrong.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(super) fn begin(self) -> io::Result<Fed> {
        let (sender, receiver) = mpsc::channel(STARTS_AHEAD);
        let thread = std::thread::Builder::new()
            .stack_size(STACK_BYTES)
            .spawn(move || self.feed(&sender).err())?;
        Ok((receiver, thread))
    }

    fn feed(self, sender: &mpsc::Sender<Work>) -> Result<(), String> {
        for record in self.to_wait_for.into_iter().flatten() {
            let record = record.map_err(|error| format!("cannot read the journal: {error}"))?;
            if sender
                .blocking_send(Work::Earlier(Box::new(record.start)))
                .is_err()
            {
                return Ok(());
            }
        }
        for start in self.batch.starts() {
            let start = start.map_err(|diagnostics| {
                let first = diagnostics
                    .first()
                    .map(|diagnostic| diagnostic.message.clone());
                first.unwrap_or_default()
            })?;
            if self.finished.contains(start.index) {
                continue;
            }
            if sender.blocking_send(Work::Start(Arc::new(start))).is_err() {
                return Ok(());
            }
        }
        Ok(())
    }
}
