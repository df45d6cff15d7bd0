//! Of an apply as a whole: how it begins, and how it ends.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error_record::ErrorRecord;

/// The apply begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplyStarted {
    /// Time of the event, on this machine's clock.
    pub at: Timestamp,
    /// The run of this program that makes the starts.
    pub invocation: Invocation,
    /// The service and the namespace that the starts are made in.
    pub service: Service,
    /// The manifest files, in the order of the command line.
    pub inputs: Vec<Input>,
    /// Number of starts, if it is known before the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// The part of all starts that is made, unless it is all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selection: Option<Selected>,
}

/// A part of all starts of some manifests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Selected {
    /// Patterns of names and Workflow IDs; none if any will do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub select: Vec<String>,
    /// The shard, such as `2/3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<String>,
    /// Number of all starts.
    pub of: u64,
}

impl ApplyStarted {
    /// One past the highest index that a start can have.
    pub fn indices(&self) -> u64 {
        let of = self.selection.as_ref().map(|selection| selection.of);
        of.or(self.total).unwrap_or(u64::MAX)
    }
}

/// One run of this program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Invocation {
    /// ID of this run of the program; a part of the default identity.
    pub id: String,
    /// The key that makes the apply repeatable.
    pub idempotency_key: String,
    /// The command, such as `apply`.
    pub command: String,
    /// When it began, on this machine's clock.
    pub started_at: Timestamp,
    /// Version of this program.
    pub version: String,
}

/// A Temporal Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    /// Host and port of its frontend.
    pub address: String,
    /// Namespace of the starts.
    pub namespace: String,
    /// Its version, if it answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_version: Option<String>,
}

/// A manifest file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    /// Path as the user typed it, or `<stdin>`.
    pub path: String,
    /// SHA-256 of its text.
    pub sha256: String,
}

/// The apply is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplyFinished {
    /// Time of the event, on this machine's clock.
    pub at: Timestamp,
    /// Why it ended before all starts were made, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Stopped>,
}

/// Why an apply ended before all starts were made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "by", rename_all = "camelCase")]
pub enum Stopped {
    /// A signal, or a closed standard output.
    Interrupt {
        /// Number of the signal: 1 (hangup), 2 (interrupt, also a closed standard output) or 15
        /// (termination).
        signal: i32,
    },
    /// More starts failed than `--max-failures` allows.
    Failures {
        /// Number of starts that have failed.
        count: u64,
    },
    /// The command timeout passed.
    Timeout,
    /// The service could not be reached, or refused the first question.
    NoConnection {
        /// What the connection came to, in words.
        message: String,
        /// What to do about it, if that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        help: Option<String>,
    },
    /// The service refuses every start.
    Refusal {
        /// What it says.
        error: ErrorRecord,
    },
    /// The service stopped answering, or throttled everything, for as long as a start is tried.
    Silence {
        /// The last thing that was heard.
        error: ErrorRecord,
    },
    /// Something that was checked before has changed, such as a payload file.
    Input {
        /// What has changed, in words.
        message: String,
    },
    /// No end is recorded: the apply was killed, or goes on still. Only in the report of a journal.
    Unrecorded,
    /// A journal, or the output that another program reads, could not be written.
    NotWritten {
        /// Which one, and what the system says.
        message: String,
    },
}
