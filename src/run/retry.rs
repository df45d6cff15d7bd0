//! How long to pause before another attempt.

use std::time::Duration;

use super::service::{ErrorClass, ServiceError};

/// Pause before the next attempt, at random up to [`longest_pause`].
pub(super) fn backoff(attempts: u32, error: &ServiceError) -> Duration {
    let longest = longest_pause(attempts, error);
    longest.mul_f64(fastrand::f64())
}

/// Longest pause after so many attempts: from 100 ms doubling up to 10 s. After throttling the
/// common pace decides when the next call is made, and a start steps back for others only from 2 ms
/// doubling up to 50 ms; a Workflow ID that is busy by itself waits for itself, from 1 s.
fn longest_pause(attempts: u32, error: &ServiceError) -> Duration {
    let (first, most) = if error.is_only_this_workflow() {
        (1_000, 10_000)
    } else if error.class == ErrorClass::Throttled {
        (2, 50)
    } else {
        (100, 10_000)
    };
    let doubled = u64::saturating_mul(first, 1 << attempts.saturating_sub(1).min(20));
    Duration::from_millis(doubled.min(most))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::service::{GrpcCode, Reason, ThrottleCause};

    #[test]
    fn pauses_double_up_to_a_bound() {
        let error = |class, cause| ServiceError {
            class,
            code: GrpcCode::Unknown,
            reason: Reason::Unknown,
            message: String::new(),
            cause,
            scope: None,
        };
        let pace = error(ErrorClass::Throttled, Some(ThrottleCause::RpsLimit));
        let busy = error(ErrorClass::Throttled, Some(ThrottleCause::BusyWorkflow));
        let table = [
            // After so many attempts, milliseconds.
            (
                error(ErrorClass::Transient, None),
                [100, 200, 6_400, 10_000],
            ),
            (
                error(ErrorClass::Unanswered, None),
                [100, 200, 6_400, 10_000],
            ),
            (busy, [1_000, 2_000, 10_000, 10_000]),
            (pace, [2, 4, 50, 50]),
        ];
        for (error, longest) in table {
            for (attempts, longest) in [1, 2, 7, u32::MAX].into_iter().zip(longest) {
                let longest = Duration::from_millis(longest);
                assert_eq!(longest_pause(attempts, &error), longest, "{error:?}");
                assert!(backoff(attempts, &error) <= longest, "{error:?}");
            }
        }
    }
}
