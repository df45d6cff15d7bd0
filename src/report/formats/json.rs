//! The report as one JSON document, written as the outcomes are read back.

use std::cell::Cell;
use std::io::{self, Write};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::ser::{Error, SerializeSeq};
use serde::{Serialize, Serializer};
use serde_json::ser::{Formatter, PrettyFormatter};

use crate::journal::record::{Recorded, StartRecord};
use crate::report::ending::Ending;
use crate::report::replay::{Replay, UnreadJournal};
use crate::report::reporter::Reporter;
use crate::report::summary::Summary;
use crate::report::target::ReportTarget;
use crate::run::event::{
    ApplyFinished, ApplyStarted, Event, Input, Invocation, Selected, Service, Stopped,
};
use crate::visible;

/// The report of an apply. `starts` comes last, so that it can be written as it is read.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "temporal-manifest report", extend("$id" = "urn:temporal-manifest:report:v1"))]
pub struct Report<S = Vec<StartRecord>> {
    #[serde(flatten)]
    head: Head,
    /// Every start, in file order.
    starts: S,
}

/// Everything of a report but its starts.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Head {
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
    fn of(ending: &Ending) -> Self {
        let ApplyStarted {
            // The first event is later than the beginning of the program.
            at: _,
            invocation,
            service,
            inputs,
            // Of a start, whether it was reached or not, there is an outcome.
            total: _,
            selection,
        } = ending.started.clone();
        let ApplyFinished { at, stopped } = ending.finished.clone();
        let duration = at.duration_since(invocation.started_at);
        Head {
            api_version: "temporal-manifest/v1",
            kind: "Report",
            invocation: InvocationRecord {
                invocation,
                finished_at: at,
                duration_ms: u64::try_from(duration.as_millis()).unwrap_or(0),
            },
            service,
            inputs,
            selection,
            summary: ending.summary.clone(),
            stopped,
        }
    }
}

/// Writes the report when everything is over.
#[derive(Debug)]
pub struct JsonReport {
    target: ReportTarget,
}

impl JsonReport {
    /// A report that goes to `target`.
    pub fn new(target: ReportTarget) -> Self {
        JsonReport { target }
    }
}

impl Reporter for JsonReport {
    fn name(&self) -> String {
        self.target.name()
    }

    fn needs_outcomes(&self) -> bool {
        true
    }

    fn hear(&mut self, _: &Event) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self, ending: &Ending, replay: &mut Replay) -> io::Result<()> {
        self.target.write(|out| {
            let report = Report {
                head: Head::of(ending),
                starts: Starts(Cell::new(Some(replay.starts()?))),
            };
            let mut serializer =
                serde_json::Serializer::with_formatter(&mut *out, Visible::default());
            report.serialize(&mut serializer)?;
            out.write_all(b"\n")
        })
    }
}

/// Starts that are written as they are read, each as one line. Can be serialized once.
struct Starts<I>(Cell<Option<I>>);

impl<I: Iterator<Item = Result<Recorded, UnreadJournal>>> Serialize for Starts<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let starts = self.0.take().into_iter().flatten();
        let mut list = serializer.serialize_seq(None)?;
        for start in starts {
            let start = start.map_err(|unread| S::Error::custom(unread.source))?;
            let line = serde_json::value::to_raw_value(&StartRecord::from(start))
                .map_err(S::Error::custom)?;
            list.serialize_element(&line)?;
        }
        list.end()
    }
}

/// Indents, and writes what acts on a terminal as an escape.
#[derive(Default)]
struct Visible<'i>(PrettyFormatter<'i>);

impl Formatter for Visible<'_> {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        text: &str,
    ) -> io::Result<()> {
        out.write_all(visible::json(text).as_bytes())
    }

    fn write_raw_fragment<W: ?Sized + Write>(&mut self, out: &mut W, json: &str) -> io::Result<()> {
        out.write_all(visible::json(json).as_bytes())
    }

    fn begin_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_array(out)
    }

    fn end_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_array(out)
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(out, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_array_value(out)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_object(out)
    }

    fn end_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_object(out)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(out, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_object_value(out)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_object_value(out)
    }
}
