//! Whether the service still knows a run.

use crate::run::service::{Description, GrpcCode, Lookups, Reason, ServiceError};

/// Whether the service knows a run, or a run of the chain that it began.
///
/// # Errors
/// It does not say, for example because describing Workflows is denied.
pub(super) async fn knows(
    service: &impl Lookups,
    workflow_id: &str,
    run_id: &str,
) -> Result<bool, ServiceError> {
    if found(service, workflow_id, run_id).await?.is_some() {
        return Ok(true);
    }
    // A chain outlives the retention of its first run, whose ID all of its runs have.
    let current = found(service, workflow_id, "").await?;
    let first = current.and_then(|current| current.first_run_id);
    Ok(first.is_some_and(|first| first == run_id))
}

/// What the service knows of a run, if there is one.
async fn found(
    service: &impl Lookups,
    workflow_id: &str,
    run_id: &str,
) -> Result<Option<Description>, ServiceError> {
    match service.describe(workflow_id, run_id).await {
        Ok(described) => Ok(Some(described)),
        // A run ID of another form is no run of this service's.
        Err(error)
            if error.reason == Reason::NotFound || error.code == GrpcCode::InvalidArgument =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
