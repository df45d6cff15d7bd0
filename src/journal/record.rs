//! What is known of one start when the apply is over.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::run::event::{StartFinished, WorkflowEnd};

/// One start and, if it was waited for, its Workflow's end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StartRecord {
    /// The start.
    #[serde(flatten)]
    pub start: StartFinished,
    /// The Workflow's end, with `--wait`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<WorkflowEnd>,
}
