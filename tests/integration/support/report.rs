//! The JSON report of an apply, as tests read it.

use serde_json::Value;

use super::binary::Finished;

/// What `apply -o json` printed.
#[derive(Debug)]
pub struct Report {
    document: Value,
}

impl Report {
    /// Reads standard output, which must hold one JSON document and nothing else.
    #[track_caller]
    pub fn of(finished: &Finished) -> Self {
        let document = serde_json::from_str(&finished.stdout).unwrap_or_else(|error| {
            panic!(
                "standard output is no JSON document: {error}\nstdout:\n{}\nstderr:\n{}",
                finished.stdout, finished.stderr
            )
        });
        Self { document }
    }

    /// The whole document.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// A number of the summary, such as `total` or `started`.
    #[track_caller]
    pub fn count(&self, name: &str) -> u64 {
        self.document["summary"][name]
            .as_u64()
            .unwrap_or_else(|| panic!("the summary has no number {name}: {}", self.document))
    }

    /// How many Workflows ended in a way, such as `completed`.
    #[track_caller]
    pub fn workflows(&self, status: &str) -> u64 {
        self.document["summary"]["workflows"][status]
            .as_u64()
            .unwrap_or_else(|| panic!("the summary has no number {status}: {}", self.document))
    }

    /// Every start, in file order.
    #[track_caller]
    pub fn starts(&self) -> &[Value] {
        self.document["starts"]
            .as_array()
            .expect("the report has a list of starts")
    }

    /// The request ID on the wire of the probe of the start with this Workflow ID.
    #[track_caller]
    pub fn probe_id(&self, workflow_id: &str) -> String {
        let digits = |text: &str| text.replace('-', "");
        let key = digits(text(self.start(workflow_id), "requestId"));
        let invocation = digits(text(&self.document["invocation"], "id"));
        format!("{key}/{}", &invocation[..24])
    }

    /// The start with this Workflow ID.
    #[track_caller]
    pub fn start(&self, workflow_id: &str) -> &Value {
        self.starts()
            .iter()
            .find(|start| start["workflowId"] == workflow_id)
            .unwrap_or_else(|| panic!("the report has no start {workflow_id}: {}", self.document))
    }

    /// The run ID of the start with this Workflow ID.
    #[track_caller]
    pub fn run_id(&self, workflow_id: &str) -> String {
        text(self.start(workflow_id), "runId").to_owned()
    }

    /// The outcome of the start with this Workflow ID.
    #[track_caller]
    pub fn outcome(&self, workflow_id: &str) -> &str {
        text(self.start(workflow_id), "outcome")
    }
}

/// A member of an object that must be a string.
#[track_caller]
pub fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    object[name]
        .as_str()
        .unwrap_or_else(|| panic!("no string {name} in {object}"))
}
