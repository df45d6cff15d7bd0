//! The report as one JSON document, streamed from a replayed spool.

use std::io::{self, Write};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::summary::Summary;
use crate::journal::record::StartRecord;
use crate::run::event::{ApplyStarted, Input, Invocation, Selected, Service, Stopped};
use crate::visible;

/// The report of an apply. `starts` comes last, so that it can be written as it is read.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "temporal-manifest report", extend("$id" = "urn:temporal-manifest:report:v1"))]
pub struct Report {
    #[serde(flatten)]
    head: Head,
    /// Every start, in file order.
    starts: Vec<StartRecord>,
}

/// Everything of a report but its starts.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Head {
    /// Always `temporal-manifest/v1`.
    api_version: &'static str,
    /// Always `Report`.
    kind: &'static str,
    /// The run of this program.
    invocation: InvocationRecord,
    /// Where the starts went.
    service: Service,
    /// The manifest files.
    inputs: Vec<Input>,
    /// Which part of all starts, unless it is all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    selection: Option<Selected>,
    /// What came of it, in numbers.
    summary: Summary,
    /// Why the apply ended before all starts were made, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped: Option<Stopped>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct InvocationRecord {
    #[serde(flatten)]
    invocation: Invocation,
    /// When it ended, on this machine's clock.
    finished_at: Timestamp,
    /// Milliseconds between the two.
    duration_ms: u64,
}

impl Head {
    /// The head of a finished apply's report.
    pub fn new(started: ApplyStarted, summary: Summary, finished_at: Timestamp) -> Self {
        let ApplyStarted {
            invocation,
            service,
            inputs,
            selection,
            ..
        } = started;
        let duration = finished_at.duration_since(invocation.started_at);
        Head {
            api_version: "temporal-manifest/v1",
            kind: "Report",
            invocation: InvocationRecord {
                invocation,
                finished_at,
                duration_ms: u64::try_from(duration.as_millis()).unwrap_or(0),
            },
            service,
            inputs,
            selection,
            stopped: summary.stopped.clone(),
            summary,
        }
    }
}

/// Writes the report. If a start cannot be read back, the error comes before the document ends.
///
/// # Errors
/// Reading the spool or writing fails.
pub fn write(
    mut out: impl Write,
    head: &Head,
    starts: impl Iterator<Item = io::Result<StartRecord>>,
) -> io::Result<()> {
    let head = serde_json::to_string_pretty(head)?;
    let open = head
        .strip_suffix("\n}")
        .expect("a struct is written as an object");
    out.write_all(visible::json(open).as_bytes())?;
    out.write_all(b",\n  \"starts\": [")?;
    for (position, start) in starts.enumerate() {
        out.write_all(if position == 0 { b"\n    " } else { b",\n    " })?;
        let start = serde_json::to_string(&start?)?;
        out.write_all(visible::json(&start).as_bytes())?;
    }
    out.write_all(b"\n  ]\n}\n")?;
    out.flush()
}
