//! A point in time that may not come.

use tokio::time::Instant;

/// Sleeps until a deadline; without one, for ever.
pub(super) async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
