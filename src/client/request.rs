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
    IdConflictPolicy, IdReusePolicy, Link, LinkEventType, Priority, RetryPolicy, Start,
    VersioningOverride,
};
use crate::run::service::StartRequest;

/// The request for a start. Unset fields stay unset, so that the service's defaults hold.
pub(super) fn start_request(
    start: &Start,
    namespace: &str,
    identity: &str,
    request: &StartRequest,
) -> StartWorkflowExecutionRequest {
    let settings = &*start.settings;
    let on_conflict = settings.on_conflict.filter(|_| request.attaches);
    StartWorkflowExecutionRequest {
        namespace: namespace.to_owned(),
        workflow_id: start.workflow_id.clone(),
        workflow_type: Some(common::WorkflowType {
            name: start.workflow_type.to_string(),
        }),
        task_queue: Some(TaskQueue {
            name: start.task_queue.to_string(),
            kind: TaskQueueKind::Normal.into(),
            normal_name: String::new(),
        }),
        input: payload::list_to_wire(&start.args),
        workflow_execution_timeout: settings.execution_timeout.map(duration),
        workflow_run_timeout: settings.run_timeout.map(duration),
        workflow_task_timeout: settings.task_timeout.map(duration),
        identity: identity.to_owned(),
        request_id: request.request_id.clone(),
        workflow_id_reuse_policy: reuse_policy(request.id_reuse_policy).into(),
        workflow_id_conflict_policy: conflict_policy(request.id_conflict_policy).into(),
        retry_policy: settings.retry_policy.as_ref().map(retry_policy),
        cron_schedule: settings.cron_schedule.clone().unwrap_or_default(),
        memo: named(&start.memo).map(|fields| common::Memo { fields }),
        search_attributes: named(&start.search_attributes)
            .map(|indexed_fields| common::SearchAttributes { indexed_fields }),
        header: named(&start.headers).map(|fields| common::Header { fields }),
        workflow_start_delay: settings.start_delay.map(duration),
        completion_callbacks: settings
            .completion_callbacks
            .iter()
            .map(|callback| common::Callback {
                variant: Some(common::callback::Variant::Nexus(common::callback::Nexus {
                    url: callback.url.clone(),
                    header: callback.headers.iter().cloned().collect(),
                })),
            })
            .collect(),
        user_metadata: user_metadata(start),
        links: settings.links.iter().map(link).collect(),
        versioning_override: settings
            .versioning_override
            .as_ref()
            .map(versioning_override),
        on_conflict_options: on_conflict.map(|options| OnConflictOptions {
            attach_request_id: options.attach_request_id,
            attach_completion_callbacks: options.attach_completion_callbacks,
            attach_links: options.attach_links,
        }),
        priority: settings.priority.as_ref().map(priority),
    }
}

/// A run as requests name it; an empty run ID is the Workflow ID's current one.
pub(super) fn execution(workflow_id: &str, run_id: &str) -> common::WorkflowExecution {
    common::WorkflowExecution {
        workflow_id: workflow_id.to_owned(),
        run_id: run_id.to_owned(),
    }
}

fn reuse_policy(policy: IdReusePolicy) -> WorkflowIdReusePolicy {
    match policy {
        IdReusePolicy::AllowDuplicate => WorkflowIdReusePolicy::AllowDuplicate,
        IdReusePolicy::AllowDuplicateFailedOnly => WorkflowIdReusePolicy::AllowDuplicateFailedOnly,
        IdReusePolicy::RejectDuplicate => WorkflowIdReusePolicy::RejectDuplicate,
        IdReusePolicy::TerminateIfRunning => WorkflowIdReusePolicy::TerminateIfRunning,
    }
}

fn conflict_policy(policy: IdConflictPolicy) -> WorkflowIdConflictPolicy {
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

fn retry_policy(policy: &RetryPolicy) -> common::RetryPolicy {
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

fn user_metadata(start: &Start) -> Option<UserMetadata> {
    let text = |text: &Option<Arc<str>>| {
        text.as_deref()
            .map(|text| payload::to_wire(&Payload::json_string(text)))
    };
    let (summary, details) = (text(&start.static_summary), text(&start.static_details));
    (summary.is_some() || details.is_some()).then_some(UserMetadata { summary, details })
}

fn link(link: &Link) -> common::Link {
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

fn versioning_override(version: &VersioningOverride) -> WireOverride {
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

fn priority(priority: &Priority) -> common::Priority {
    common::Priority {
        priority_key: priority.key,
        fairness_key: priority.fairness_key.clone(),
        fairness_weight: priority.fairness_weight,
    }
}
