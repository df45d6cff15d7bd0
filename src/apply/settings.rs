//! What an apply is to do: plain values, with every default once.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::inputs::Inputs;
use crate::expand::Invocation;
use crate::expand::identity::IdempotencyKey;
use crate::expand::selection::Selection;

/// What an apply is to do.
#[derive(Clone, Debug)]
pub struct ApplySettings {
    /// What is read.
    pub inputs: Inputs,
    /// Which starts are meant. Default: all; beside a journal that is gone on with, its own.
    pub selection: Selection,
    /// This run of the program. Default: a new random ID, and now.
    pub invocation: Invocation,
    /// The key that makes the apply repeatable: the same key starts nothing twice. Default: a new
    /// random one; beside a journal that is gone on with, its own.
    pub key: Option<IdempotencyKey>,
    /// Host and port of the service, as reports and journals name it. Default:
    /// [`ApplySettings::ADDRESS`].
    pub address: String,
    /// Namespace of the starts. Default: [`ApplySettings::NAMESPACE`].
    pub namespace: String,
    /// Most starts in flight, at least 1. Default: [`ApplySettings::PARALLELISM`].
    pub parallelism: usize,
    /// Most starts per second. Default: as many as the service takes.
    pub starts_per_second: Option<f64>,
    /// How long one start is tried. Default: [`ApplySettings::RETRY_FOR`].
    pub retry_for: Duration,
    /// Whether a start fails if its Workflow exists already. Default: no.
    pub fail_existing: bool,
    /// Most starts that may fail before no further one is made. Default: all.
    pub max_failures: Option<MaxFailures>,
    /// Whether outcomes are kept on disk. Default: no.
    pub journal: KeepIn,
    /// Whether Workflows are waited for. Default: no.
    pub wait: bool,
    /// Longest time to wait after the last start. Default: no limit.
    pub wait_timeout: Option<Duration>,
    /// Whether results are left out. Default: no.
    pub hide_results: bool,
    /// The command that applies the same, but for its key and its journal: what to do instead if a
    /// journal does not fit. Default: [`ApplySettings::COMMAND`].
    pub command: String,
}

impl ApplySettings {
    /// Host and port of the service.
    pub const ADDRESS: &str = "localhost:7233";

    /// Namespace of the starts.
    pub const NAMESPACE: &str = "default";

    /// Most starts in flight.
    pub const PARALLELISM: usize = 32;

    /// How long one start is tried.
    pub const RETRY_FOR: Duration = Duration::from_secs(300);

    /// The command that applies the same.
    pub const COMMAND: &str = "temporal-manifest apply …";

    /// An apply of what is read, with every default.
    pub fn new(inputs: Inputs) -> Self {
        ApplySettings {
            inputs,
            selection: Selection::default(),
            invocation: Invocation {
                id: Uuid::new_v4().to_string(),
                started_at: Timestamp::now(),
            },
            key: None,
            address: Self::ADDRESS.to_owned(),
            namespace: Self::NAMESPACE.to_owned(),
            parallelism: Self::PARALLELISM,
            starts_per_second: None,
            retry_for: Self::RETRY_FOR,
            fail_existing: false,
            max_failures: None,
            journal: KeepIn::Nothing,
            wait: false,
            wait_timeout: None,
            hide_results: false,
            command: Self::COMMAND.to_owned(),
        }
    }

    /// The command that applies the same under a key, without a journal.
    pub(super) fn without_journal(&self, key: &IdempotencyKey) -> String {
        // No command line can hold a NUL byte.
        let key = key.as_str().replace('\0', "");
        let key = shlex::try_quote(&key).unwrap_or_default();
        format!("{} --idempotency-key {key}", self.command)
    }
}

/// Where outcomes are kept, to go on from after an interruption.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum KeepIn {
    /// Nowhere.
    #[default]
    Nothing,
    /// In a new journal.
    New(PathBuf),
    /// In the journal of an earlier invocation; what it says is finished is left out.
    Resumed(PathBuf),
}

/// How many starts may fail.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MaxFailures {
    /// So many.
    Count(u64),
    /// A share of all, from 0 to 100.
    Percent(f64),
}

impl MaxFailures {
    /// The number for an apply of `total` starts.
    pub fn of(self, total: u64) -> u64 {
        match self {
            MaxFailures::Count(count) => count,
            MaxFailures::Percent(percent) => (total as f64 * percent / 100.0) as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_that_needs_no_journal_has_the_key() {
        let settings = ApplySettings {
            command: "temporal-manifest apply 'a b.yaml'".to_owned(),
            ..ApplySettings::new(Inputs::default())
        };
        assert_eq!(
            settings.without_journal(&IdempotencyKey::given("k 1")),
            "temporal-manifest apply 'a b.yaml' --idempotency-key 'k 1'"
        );
    }
}
