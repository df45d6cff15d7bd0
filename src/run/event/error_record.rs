//! Why a call failed, as reports and journals say it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::run::service::{GrpcCode, Reason, ServiceError, ThrottleCause, ThrottleScope};

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrorRecord {
    /// The gRPC status code's name.
    pub code: GrpcCode,
    /// Our stable word for the reason.
    pub reason: Reason,
    /// The service's own words.
    pub message: String,
    /// For throttling: what ran out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<ThrottleCause>,
    /// For throttling: whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<ThrottleScope>,
    /// Whether the same start may succeed when it is sent again.
    pub retryable: bool,
}

impl From<&ServiceError> for ErrorRecord {
    fn from(error: &ServiceError) -> Self {
        ErrorRecord {
            code: error.code,
            reason: error.reason,
            message: error.message.clone(),
            cause: error.cause,
            scope: error.scope,
            retryable: error.is_retryable(),
        }
    }
}
