//! How an apply is stopped from outside.

use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

use crate::run::event::Stopped;

/// Stops an apply: it takes no further start, and settles what is in flight. Clones stop the same.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    token: CancellationToken,
    by: Arc<OnceLock<Stopped>>,
}

impl Stop {
    /// Stops it. Of several reasons the first one counts.
    pub fn stop(&self, by: Stopped) {
        // Who reads it has seen the token.
        let _ = self.by.set(by);
        self.token.cancel();
    }

    /// What is cancelled when it is stopped; whoever cancels it by itself stops it too.
    pub(super) fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// Why it was stopped, if it was. An output that nobody reads stops it without a word, as an
    /// interrupt does.
    pub(super) fn by(&self) -> Option<Stopped> {
        let silently = || Stopped::Interrupt { signal: 2 };
        let is_stopped = self.token.is_cancelled();
        is_stopped.then(|| self.by.get().cloned().unwrap_or_else(silently))
    }
}
