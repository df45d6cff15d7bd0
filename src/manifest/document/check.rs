//! Finds what the service would refuse or quietly change, before anything is sent.
//!
//! In: one start's fields, of the right shape. Out: findings. Rules that the service's own code or
//! a run against Server 1.32 shows; limits that an operator can change are left to the service.

use std::time::Duration;

use crate::manifest::document::{DurationText, IdConflictPolicy, IdReusePolicy, StartFields};
use crate::manifest::findings::diagnostic::Code;
use crate::manifest::findings::finding::Finding;
use crate::manifest::findings::locate::Step;
use crate::manifest::findings::words::{invalid_duration, name_of};
use crate::manifest::text::duration;
use crate::manifest::text::node::holds_expression;
use crate::visible;

/// Longest Workflow ID, type or Task Queue name, in bytes.
/// Source: temporal dynamic config `limit.maxIDLength`.
pub const MAX_ID_BYTES: usize = 1000;

/// Longest fairness key, in bytes. Source: temporal `common/priorities`.
const MAX_FAIRNESS_KEY_BYTES: usize = 64;

/// Lengths up to which the Web UI shows summary and details whole, in bytes.
/// Source: temporal/api/sdk/v1 `UserMetadata`.
const SHOWN_SUMMARY_BYTES: usize = 400;
const SHOWN_DETAILS_BYTES: usize = 20_000;

/// Most header bytes of a completion callback. Source: temporal `component.callbacks` limits.
const MAX_CALLBACK_HEADER_BYTES: usize = 8 * 1024;

/// Checks the meaning of one start.
pub(crate) fn check(start: &StartFields) -> Vec<Finding> {
    let mut findings = Vec::new();
    required(start, &mut findings);
    names(start, &mut findings);
    policies(start, &mut findings);
    combinations(start, &mut findings);
    durations(start, &mut findings);
    retry_policy(start, &mut findings);
    attachments(start, &mut findings);
    advice(start, &mut findings);
    findings
}

fn at(field: &str) -> Vec<Step> {
    vec![field.into()]
}

fn required(start: &StartFields, findings: &mut Vec<Finding>) {
    let fields = [
        ("type", start.workflow_type.is_none(), "BillCustomer"),
        ("taskQueue", start.task_queue.is_none(), "billing"),
    ];
    for (name, missing, example) in fields {
        if missing {
            findings.push(
                Finding::new(
                    Code::MissingKey,
                    Vec::new(),
                    format!("this start has no `{name}`"),
                )
                .with_help(format!("add `{name}: {example}` here or to `defaults`")),
            );
        }
    }
}

fn names(start: &StartFields, findings: &mut Vec<Finding>) {
    let fields = [
        ("workflowId", start.workflow_id.as_deref()),
        ("type", start.workflow_type.as_deref()),
        ("taskQueue", start.task_queue.as_deref()),
        ("name", start.name.as_deref()),
    ];
    for (name, value) in fields {
        // What an expression comes to is checked when it is evaluated.
        let written = value.filter(|value| !holds_expression(value));
        findings.extend(written.and_then(|value| text_field(name, value)));
    }
}

/// Checks a field of a start that is a plain text.
pub(crate) fn text_field(name: &str, value: &str) -> Option<Finding> {
    let is_id = matches!(name, "workflowId" | "type" | "taskQueue");
    if value.is_empty() && (is_id || name == "name") {
        let finding = Finding::new(
            Code::OutOfRange,
            at(name),
            format!("`{name}` must not be empty"),
        );
        return Some(finding);
    }
    if is_id || name == "name" {
        let found = invisible(name, value);
        if found.is_some() {
            return found;
        }
    }
    if is_id && value.len() > MAX_ID_BYTES {
        let message = format!(
            "`{name}` has {} bytes, and the service takes at most {MAX_ID_BYTES}",
            value.len()
        );
        return Some(
            Finding::new(Code::OutOfRange, at(name), message)
                .with_help("shorten it; data belongs into `args` or `memo`"),
        );
    }
    let reserved = value.starts_with("/_sys/") || value == "temporal-sys-per-ns-tq";
    (name == "taskQueue" && reserved).then(|| {
        Finding::new(
            Code::ReservedName,
            at(name),
            format!("the Task Queue `{value}` is Temporal's own"),
        )
        .with_help("write the Task Queue that your Worker polls")
    })
}

/// A name that shows as another one, or that acts on the terminal or the log that shows it.
fn invisible(name: &str, value: &str) -> Option<Finding> {
    let what = if let Some(c) = value.chars().find(|c| visible::acts(*c)) {
        format!("holds the invisible character U+{:04X}", u32::from(c))
    } else if value.starts_with(char::is_whitespace) {
        "begins with a blank".to_owned()
    } else if value.ends_with(char::is_whitespace) {
        "ends with a blank".to_owned()
    } else {
        return None;
    };
    let shown = crate::manifest::text::scalar::shorten(value);
    let message = format!("`{name}` {what}: `{shown}`");
    let finding = Finding::new(Code::InvisibleCharacter, at(name), message);
    Some(finding.with_help("leave it out; in expressions, `trim` takes blanks away at both ends"))
}

fn policies(start: &StartFields, findings: &mut Vec<Finding>) {
    match (*start.id_reuse_policy, *start.id_conflict_policy) {
        (Some(IdReusePolicy::RejectDuplicate), Some(IdConflictPolicy::TerminateExisting)) => {
            findings.push(
                Finding::new(
                    Code::ConflictingPolicies,
                    at("idConflictPolicy"),
                    "the service refuses `TerminateExisting` together with `idReusePolicy: RejectDuplicate`",
                )
                .with_help("to replace a running Workflow, use `idReusePolicy: AllowDuplicate`"),
            );
        }
        (Some(IdReusePolicy::TerminateIfRunning), Some(_)) => findings.push(
            Finding::new(
                Code::ConflictingPolicies,
                at("idConflictPolicy"),
                "the service refuses any `idConflictPolicy` beside `idReusePolicy: TerminateIfRunning`",
            )
            .with_help("write `idReusePolicy: AllowDuplicate` and `idConflictPolicy: TerminateExisting`"),
        ),
        _ => {}
    }
}

fn combinations(start: &StartFields, findings: &mut Vec<Finding>) {
    if start.cron_schedule.is_some() && start.start_delay.is_some() {
        findings.push(
            Finding::new(
                Code::ConflictingFields,
                at("startDelay"),
                "the service refuses `startDelay` together with `cronSchedule`",
            )
            .with_help("remove one of the two"),
        );
    }
    if let Some(on_conflict) = &*start.on_conflict {
        if *start.id_conflict_policy != Some(IdConflictPolicy::UseExisting) {
            findings.push(
                Finding::new(
                    Code::ConflictingFields,
                    at("onConflict"),
                    "`onConflict` has an effect only with `idConflictPolicy: UseExisting`",
                )
                .at_key()
                .with_help("add `idConflictPolicy: UseExisting`, or remove `onConflict`"),
            );
        }
        if *on_conflict.attach_completion_callbacks && !*on_conflict.attach_request_id {
            findings.push(
                Finding::new(
                    Code::ConflictingFields,
                    vec!["onConflict".into(), "attachCompletionCallbacks".into()],
                    "the service attaches callbacks only together with the request ID",
                )
                .with_help("add `attachRequestId: true`"),
            );
        }
    }
}

/// Every duration of a start with its path.
fn all_durations(start: &StartFields) -> Vec<(Vec<Step>, &DurationText)> {
    let retry = start.retry_policy.as_ref();
    let fields = [
        (at("executionTimeout"), start.execution_timeout.as_ref()),
        (at("runTimeout"), start.run_timeout.as_ref()),
        (at("taskTimeout"), start.task_timeout.as_ref()),
        (at("startDelay"), start.start_delay.as_ref()),
        (
            vec!["retryPolicy".into(), "initialInterval".into()],
            retry.and_then(|retry| retry.initial_interval.as_ref()),
        ),
        (
            vec!["retryPolicy".into(), "maximumInterval".into()],
            retry.and_then(|retry| retry.maximum_interval.as_ref()),
        ),
    ];
    fields
        .into_iter()
        .filter_map(|(path, text)| text.map(|text| (path, text)))
        .collect()
}

fn durations(start: &StartFields, findings: &mut Vec<Finding>) {
    for (path, DurationText(text)) in all_durations(start) {
        if duration::parse(text).is_err() {
            let name = name_of(&path);
            findings.push(invalid_duration(path, &name, text));
        }
    }
}

/// Source: temporal `common/util.go` `EnsureDefaults`/`ValidateRetryPolicy`.
fn retry_policy(start: &StartFields, findings: &mut Vec<Finding>) {
    let Some(retry) = &*start.retry_policy else {
        return;
    };
    if *retry.maximum_attempts == Some(1) {
        return;
    }
    let parsed =
        |text: &Option<DurationText>| text.as_ref().and_then(|text| duration::parse(&text.0).ok());
    let initial = parsed(&retry.initial_interval).filter(|initial| !initial.is_zero());
    let initial = initial.unwrap_or(Duration::from_secs(1));
    if let Some(maximum) = parsed(&retry.maximum_interval)
        && !maximum.is_zero()
        && maximum < initial
    {
        let initial = duration::format(initial);
        findings.push(
            Finding::new(
                Code::InvalidRetryPolicy,
                vec!["retryPolicy".into(), "maximumInterval".into()],
                format!("`maximumInterval` is shorter than `initialInterval` ({initial})"),
            )
            .with_help("make it at least as long, or leave it out"),
        );
    }
    const TIMEOUTS: [&str; 4] = [
        "StartToClose",
        "ScheduleToStart",
        "ScheduleToClose",
        "Heartbeat",
    ];
    for (index, error_type) in retry.non_retryable_error_types.iter().flatten().enumerate() {
        if let Some(timeout) = error_type.strip_prefix("TemporalTimeout:")
            && !TIMEOUTS.contains(&timeout)
        {
            findings.push(
                Finding::new(
                    Code::InvalidRetryPolicy,
                    vec![
                        "retryPolicy".into(),
                        "nonRetryableErrorTypes".into(),
                        index.into(),
                    ],
                    format!(
                        "`{}` is not a kind of timeout",
                        crate::manifest::text::scalar::shorten(timeout)
                    ),
                )
                .with_help(format!(
                    "after `TemporalTimeout:` comes one of {}",
                    TIMEOUTS.join(", ")
                )),
            );
        }
    }
}

/// The finding that a fairness key is too long.
pub(in crate::manifest) fn long_fairness_key(path: Vec<Step>, key: &str) -> Finding {
    let message = format!(
        "`fairnessKey` has {} bytes, and the service takes at most {MAX_FAIRNESS_KEY_BYTES}",
        key.len()
    );
    Finding::new(Code::OutOfRange, path, message).with_help("shorten it, for example to a hash")
}

fn attachments(start: &StartFields, findings: &mut Vec<Finding>) {
    if let Some(key) = start
        .priority
        .as_ref()
        .and_then(|priority| priority.fairness_key.as_ref())
        && key.len() > MAX_FAIRNESS_KEY_BYTES
    {
        let path = vec!["priority".into(), "fairnessKey".into()];
        findings.push(long_fairness_key(path, key));
    }
    for (index, callback) in start.completion_callbacks.iter().flatten().enumerate() {
        let path = |key: &str| vec!["completionCallbacks".into(), index.into(), key.into()];
        if !callback.url.starts_with("http://") && !callback.url.starts_with("https://") {
            findings.push(
                Finding::new(Code::InvalidFormat, path("url"), "`url` is not an HTTP URL")
                    .with_help("write for example `https://example.com/done`"),
            );
        }
        let bytes: usize = callback
            .headers
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum();
        if bytes > MAX_CALLBACK_HEADER_BYTES {
            findings.push(Finding::new(
                Code::OutOfRange,
                path("headers"),
                format!("`headers` has {bytes} bytes, and the service takes at most {MAX_CALLBACK_HEADER_BYTES}"),
            ).with_help("pass a reference instead of the data"));
        }
    }
}

fn advice(start: &StartFields, findings: &mut Vec<Finding>) {
    let fails_existing = *start.fail_existing == Some(true);
    if *start.id_conflict_policy == Some(IdConflictPolicy::Fail) && !fails_existing {
        findings.push(
            Finding::new(
                Code::Advice,
                at("idConflictPolicy"),
                "a running Workflow with this ID makes this start `existing`, which counts as success",
            )
            .with_help("add `failExisting: true`, or apply with `--fail-existing`, to make it fail"),
        );
    }
    let texts = [
        (
            "staticSummary",
            &start.static_summary,
            SHOWN_SUMMARY_BYTES,
            "longer texts belong into `staticDetails`",
        ),
        (
            "staticDetails",
            &start.static_details,
            SHOWN_DETAILS_BYTES,
            "store the text elsewhere and write a link to it",
        ),
    ];
    for (name, text, shown, help) in texts {
        if let Some(text) = text
            && text.len() > shown
        {
            findings.push(
                Finding::new(
                    Code::Advice,
                    at(name),
                    format!(
                        "`{name}` has {} bytes, and the Web UI may cut it after {shown}",
                        text.len()
                    ),
                )
                .with_help(help),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::document::{RetryPolicyFields, Templated};

    fn start() -> StartFields {
        StartFields {
            workflow_type: Some("T".to_owned()),
            task_queue: Some("q".to_owned()),
            ..StartFields::default()
        }
    }

    fn codes(start: &StartFields) -> Vec<Code> {
        check(start)
            .into_iter()
            .map(|finding| finding.code)
            .collect()
    }

    #[test]
    fn exactly_the_policy_pairs_that_the_service_always_refuses_are_findings() {
        for reuse in IdReusePolicy::ALL.iter().copied().map(Some).chain([None]) {
            for conflict in IdConflictPolicy::ALL
                .iter()
                .copied()
                .map(Some)
                .chain([None])
            {
                let start = StartFields {
                    id_reuse_policy: Templated(reuse),
                    id_conflict_policy: Templated(conflict),
                    ..start()
                };
                let refused = (reuse == Some(IdReusePolicy::RejectDuplicate)
                    && conflict == Some(IdConflictPolicy::TerminateExisting))
                    || (reuse == Some(IdReusePolicy::TerminateIfRunning) && conflict.is_some());
                let found = codes(&start).contains(&Code::ConflictingPolicies);
                assert_eq!(found, refused, "{reuse:?} {conflict:?}");
            }
        }
    }

    #[test]
    fn a_retry_policy_of_one_attempt_is_not_looked_at() {
        let duration = |text: &str| Templated(Some(DurationText(text.to_owned())));
        let retry = |attempts| RetryPolicyFields {
            initial_interval: duration("10s"),
            maximum_interval: duration("1s"),
            maximum_attempts: Templated(attempts),
            ..RetryPolicyFields::default()
        };
        let once = StartFields {
            retry_policy: Templated(Some(retry(Some(1)))),
            ..start()
        };
        let often = StartFields {
            retry_policy: Templated(Some(retry(None))),
            ..start()
        };
        assert_eq!(codes(&once), []);
        assert_eq!(codes(&often), [Code::InvalidRetryPolicy]);
    }
}
