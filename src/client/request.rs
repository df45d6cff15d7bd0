//! A [`Start`] as a start request.

use std::sync::Arc;
use std::time::Duration;

use super::api::temporal::api::common::v1 as common;
use super::api::temporal::api::deployment::v1::WorkerDeploymentVersion;
use super::api::temporal::api::enums::v1::{
    EventType, TaskQueueKind, WorkflowIdConflictPolicy, WorkflowIdReusePolicy,
};
use super::api::temporal::api::sdk::v1::UserMetadata;
use super::api::temporal::api::taskqueue::v1::TaskQueue;
use super::api::temporal::api::workflow::v1::{
    OnConflictOptions, VersioningOverride as WireOverride, versioning_override,
};
use super::api::temporal::api::workflowservice::v1::StartWorkflowExecutionRequest;
use super::payload;
use crate::expand::payload::Payload;
use crate::expand::start::{
    CompletionCallback, IdConflictPolicy, IdReusePolicy, Link, LinkEventType, OnConflict, Priority,
    RetryPolicy, Start, StartOptions, VersioningOverride, WorkflowOptions, WorkflowSpec,
};
use crate::run::service::StartRequest;

/// The request for a start. Unset fields stay unset, so that the service's defaults hold. What flags
/// add, such as the identity, is added here and is no part of the start, so that its content digest
/// and its request ID stay what the manifest makes them.
pub(super) fn start_request(
    start: &Start,
    namespace: &str,
    identity: &str,
    request: &StartRequest,
) -> StartWorkflowExecutionRequest {
    let Start {
        index: _,
        source: _,
        name: _,
        workflow_id,
        workflow,
        options,
    } = start;
    let WorkflowSpec {
        workflow_type,
        task_queue,
        args,
        memo,
        search_attributes,
        headers,
        static_summary,
        static_details,
        options: workflow_options,
    } = workflow;
    let WorkflowOptions {
        execution_timeout,
        run_timeout,
        task_timeout,
        retry_policy,
        priority,
        versioning_override,
    } = &**workflow_options;
    // The policies are the request's, and whether it attaches something too.
    let StartOptions {
        id_reuse_policy: _,
        id_conflict_policy: _,
        start_delay,
        cron_schedule,
        completion_callbacks,
        links,
        on_conflict,
        fail_existing: _,
    } = &**options;
    let on_conflict = on_conflict.filter(|_| request.attaches);
    StartWorkflowExecutionRequest {
        namespace: namespace.to_owned(),
        workflow_id: workflow_id.clone(),
        workflow_type: Some(common::WorkflowType {
            name: workflow_type.to_string(),
        }),
        task_queue: Some(task_queue_of(task_queue)),
        input: payload::list_to_wire(args),
        workflow_execution_timeout: execution_timeout.map(duration),
        workflow_run_timeout: run_timeout.map(duration),
        workflow_task_timeout: task_timeout.map(duration),
        identity: identity.to_owned(),
        request_id: request.request_id.clone(),
        workflow_id_reuse_policy: wire_reuse_policy(request.id_reuse_policy).into(),
        workflow_id_conflict_policy: wire_conflict_policy(request.id_conflict_policy).into(),
        retry_policy: retry_policy.as_ref().map(wire_retry_policy),
        cron_schedule: cron_schedule.clone().unwrap_or_default(),
        memo: named(memo).map(|fields| common::Memo { fields }),
        search_attributes: named(search_attributes)
            .map(|indexed_fields| common::SearchAttributes { indexed_fields }),
        header: named(headers).map(|fields| common::Header { fields }),
        workflow_start_delay: start_delay.map(duration),
        completion_callbacks: completion_callbacks.iter().map(wire_callback).collect(),
        user_metadata: user_metadata(static_summary, static_details),
        links: links.iter().map(wire_link).collect(),
        versioning_override: versioning_override.as_ref().map(wire_versioning_override),
        on_conflict_options: on_conflict.map(wire_on_conflict),
        priority: priority.as_ref().map(wire_priority),
    }
}

/// A Task Queue as requests name it.
pub(super) fn task_queue_of(name: &str) -> TaskQueue {
    TaskQueue {
        name: name.to_owned(),
        kind: TaskQueueKind::Normal.into(),
        normal_name: String::new(),
    }
}

fn wire_callback(callback: &CompletionCallback) -> common::Callback {
    let CompletionCallback { url, headers } = callback;
    common::Callback {
        variant: Some(common::callback::Variant::Nexus(common::callback::Nexus {
            url: url.clone(),
            header: headers.iter().cloned().collect(),
        })),
    }
}

fn wire_on_conflict(options: OnConflict) -> OnConflictOptions {
    let OnConflict {
        attach_request_id,
        attach_completion_callbacks,
        attach_links,
    } = options;
    OnConflictOptions {
        attach_request_id,
        attach_completion_callbacks,
        attach_links,
    }
}

/// A run as requests name it; an empty run ID is the Workflow ID's current one.
pub(super) fn execution(workflow_id: &str, run_id: &str) -> common::WorkflowExecution {
    common::WorkflowExecution {
        workflow_id: workflow_id.to_owned(),
        run_id: run_id.to_owned(),
    }
}

fn wire_reuse_policy(policy: IdReusePolicy) -> WorkflowIdReusePolicy {
    match policy {
        IdReusePolicy::AllowDuplicate => WorkflowIdReusePolicy::AllowDuplicate,
        IdReusePolicy::AllowDuplicateFailedOnly => WorkflowIdReusePolicy::AllowDuplicateFailedOnly,
        IdReusePolicy::RejectDuplicate => WorkflowIdReusePolicy::RejectDuplicate,
        IdReusePolicy::TerminateIfRunning => WorkflowIdReusePolicy::TerminateIfRunning,
    }
}

fn wire_conflict_policy(policy: IdConflictPolicy) -> WorkflowIdConflictPolicy {
    match policy {
        IdConflictPolicy::Fail => WorkflowIdConflictPolicy::Fail,
        IdConflictPolicy::UseExisting => WorkflowIdConflictPolicy::UseExisting,
        IdConflictPolicy::TerminateExisting => WorkflowIdConflictPolicy::TerminateExisting,
    }
}

fn duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: duration.subsec_nanos() as i32,
    }
}

fn wire_retry_policy(policy: &RetryPolicy) -> common::RetryPolicy {
    common::RetryPolicy {
        initial_interval: policy.initial_interval.map(duration),
        // Zero is the service's default; a coefficient of its own is at least 1.
        backoff_coefficient: policy.backoff_coefficient.unwrap_or(0.0),
        maximum_interval: policy.maximum_interval.map(duration),
        maximum_attempts: policy.maximum_attempts,
        non_retryable_error_types: policy.non_retryable_error_types.clone(),
    }
}

fn named<M: FromIterator<(String, common::Payload)>>(values: &[(Arc<str>, Payload)]) -> Option<M> {
    if values.is_empty() {
        return None;
    }
    Some(
        values
            .iter()
            .map(|(name, value)| (name.to_string(), payload::to_wire(value)))
            .collect(),
    )
}

fn user_metadata(summary: &Option<Arc<str>>, details: &Option<Arc<str>>) -> Option<UserMetadata> {
    let text = |text: &Option<Arc<str>>| {
        text.as_deref()
            .map(|text| payload::to_wire(&Payload::json_string(text)))
    };
    let (summary, details) = (text(summary), text(details));
    (summary.is_some() || details.is_some()).then_some(UserMetadata { summary, details })
}

fn wire_link(link: &Link) -> common::Link {
    use common::link::workflow_event::{EventReference, Reference};
    use common::link::{BatchJob, Variant, WorkflowEvent};
    let variant = match link {
        Link::WorkflowEvent {
            namespace,
            workflow_id,
            run_id,
            event_id,
            event_type,
        } => {
            let reference = (event_id.is_some() || event_type.is_some()).then(|| {
                Reference::EventRef(EventReference {
                    event_id: event_id.unwrap_or(0),
                    event_type: event_type
                        .map_or(EventType::Unspecified, link_event_type)
                        .into(),
                })
            });
            Variant::WorkflowEvent(WorkflowEvent {
                namespace: namespace.clone(),
                workflow_id: workflow_id.clone(),
                run_id: run_id.clone(),
                reference,
            })
        }
        Link::BatchJob { job_id } => Variant::BatchJob(BatchJob {
            job_id: job_id.clone(),
        }),
    };
    common::Link {
        variant: Some(variant),
    }
}

fn link_event_type(event_type: LinkEventType) -> EventType {
    match event_type {
        LinkEventType::WorkflowExecutionStarted => EventType::WorkflowExecutionStarted,
        LinkEventType::WorkflowExecutionSignaled => EventType::WorkflowExecutionSignaled,
        LinkEventType::WorkflowExecutionOptionsUpdated => {
            EventType::WorkflowExecutionOptionsUpdated
        }
        LinkEventType::NexusOperationScheduled => EventType::NexusOperationScheduled,
    }
}

fn wire_versioning_override(version: &VersioningOverride) -> WireOverride {
    use versioning_override::{Override, PinnedOverride, PinnedOverrideBehavior};
    let version = match version {
        VersioningOverride::Pinned {
            deployment_name,
            build_id,
        } => Override::Pinned(PinnedOverride {
            behavior: PinnedOverrideBehavior::Pinned.into(),
            version: Some(WorkerDeploymentVersion {
                build_id: build_id.clone(),
                deployment_name: deployment_name.clone(),
            }),
        }),
        VersioningOverride::AutoUpgrade => Override::AutoUpgrade(true),
    };
    WireOverride {
        r#override: Some(version),
    }
}

fn wire_priority(priority: &Priority) -> common::Priority {
    common::Priority {
        priority_key: priority.key,
        fairness_key: priority.fairness_key.clone(),
        fairness_weight: priority.fairness_weight,
    }
}
