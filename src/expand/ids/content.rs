//! The digest of what a start carries. Generated Workflow IDs and `--resume` rest on it.
//!
//! It is of what the manifest says: what flags add to a request, such as an identity, is added in
//! `client/request.rs` and never to a start. Every walk takes a type apart without `..`, so that a field
//! which is forgotten here does not compile; `tests/integration/identity.rs` holds the values.

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::expand::payloads::payload::Payload;
use crate::expand::start::{
    CompletionCallback, IdConflictPolicy, IdReusePolicy, Link, LinkEventType, OnConflict, Priority,
    RetryPolicy, Start, StartOptions, VersioningOverride, WorkflowOptions, WorkflowSpec,
};

impl Start {
    /// SHA-256 over everything that the start carries except its Workflow ID and its place. The
    /// same start has the same digest in every version of this program.
    pub fn content_digest(&self) -> [u8; 32] {
        let Start {
            index: _,
            source: _,
            name,
            workflow_id: _,
            workflow,
            options,
        } = self;
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
        let StartOptions {
            id_reuse_policy,
            id_conflict_policy,
            start_delay,
            cron_schedule,
            completion_callbacks,
            links,
            on_conflict,
            fail_existing,
        } = &**options;
        let mut content = Content(Sha256::new());
        content.text("name", name.as_deref());
        content.text("type", Some(workflow_type));
        content.text("taskQueue", Some(task_queue));
        content.payloads("args", args.iter().map(|payload| ("", payload)));
        content.text("idReusePolicy", id_reuse_policy.map(IdReusePolicy::as_str));
        content.text(
            "idConflictPolicy",
            id_conflict_policy.map(IdConflictPolicy::as_str),
        );
        content.duration("executionTimeout", *execution_timeout);
        content.duration("runTimeout", *run_timeout);
        content.duration("taskTimeout", *task_timeout);
        content.duration("startDelay", *start_delay);
        content.text("cronSchedule", cron_schedule.as_deref());
        if let Some(retry_policy) = retry_policy {
            content.retry_policy(retry_policy);
        }
        content.named("memo", memo);
        content.named("searchAttributes", search_attributes);
        content.named("headers", headers);
        if let Some(priority) = priority {
            content.priority(priority);
        }
        content.text("staticSummary", static_summary.as_deref());
        content.text("staticDetails", static_details.as_deref());
        if let Some(versioning_override) = versioning_override {
            content.versioning_override(versioning_override);
        }
        for callback in completion_callbacks {
            content.callback(callback);
        }
        for link in links {
            content.link(link);
        }
        if let Some(on_conflict) = on_conflict {
            content.on_conflict(on_conflict);
        }
        content.flag("failExisting", *fail_existing);
        content.0.finalize().into()
    }
}

/// Feeds a hash so that different contents cannot look the same: each part has its length, and the
/// name of a field tells which parts follow.
struct Content(Sha256);

impl Content {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    fn text(&mut self, field: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.bytes(field.as_bytes());
            self.bytes(value.as_bytes());
        }
    }

    fn number(&mut self, field: &str, value: Option<impl ToString>) {
        self.text(field, value.map(|value| value.to_string()).as_deref());
    }

    fn duration(&mut self, field: &str, value: Option<Duration>) {
        self.number(field, value.map(|value| value.as_nanos()));
    }

    fn flag(&mut self, field: &str, value: bool) {
        self.text(field, value.then_some("true"));
    }

    /// Their order means nothing.
    fn named(&mut self, field: &str, values: &[(Arc<str>, Payload)]) {
        let mut sorted: Vec<&(Arc<str>, Payload)> = values.iter().collect();
        sorted.sort_by(|(a, _), (b, _)| a.cmp(b));
        let sorted = sorted.iter().map(|(name, payload)| (&**name, payload));
        self.payloads(field, sorted);
    }

    fn payloads<'p>(
        &mut self,
        field: &str,
        payloads: impl Iterator<Item = (&'p str, &'p Payload)>,
    ) {
        for (name, Payload { metadata, data }) in payloads {
            self.bytes(field.as_bytes());
            self.bytes(name.as_bytes());
            self.0.update((metadata.len() as u64).to_le_bytes());
            for (key, value) in metadata.iter() {
                self.bytes(key.as_bytes());
                self.bytes(value);
            }
            self.bytes(data);
        }
    }

    fn retry_policy(&mut self, policy: &RetryPolicy) {
        let RetryPolicy {
            initial_interval,
            backoff_coefficient,
            maximum_interval,
            maximum_attempts,
            non_retryable_error_types,
        } = policy;
        self.duration("retryPolicy.initialInterval", *initial_interval);
        self.number("retryPolicy.backoffCoefficient", *backoff_coefficient);
        self.duration("retryPolicy.maximumInterval", *maximum_interval);
        self.number("retryPolicy.maximumAttempts", Some(maximum_attempts));
        for error_type in non_retryable_error_types {
            self.text("retryPolicy.nonRetryableErrorTypes", Some(error_type));
        }
    }

    fn priority(&mut self, priority: &Priority) {
        let Priority {
            key,
            fairness_key,
            fairness_weight,
        } = priority;
        self.number("priority.key", Some(key));
        self.text("priority.fairnessKey", Some(fairness_key));
        self.number("priority.fairnessWeight", Some(fairness_weight));
    }

    fn versioning_override(&mut self, version: &VersioningOverride) {
        match version {
            VersioningOverride::Pinned {
                deployment_name,
                build_id,
            } => {
                self.text("versioningOverride.deploymentName", Some(deployment_name));
                self.text("versioningOverride.buildId", Some(build_id));
            }
            VersioningOverride::AutoUpgrade => self.flag("versioningOverride.autoUpgrade", true),
        }
    }

    fn callback(&mut self, callback: &CompletionCallback) {
        let CompletionCallback { url, headers } = callback;
        self.text("completionCallbacks.url", Some(url));
        // Their order means nothing.
        let mut sorted: Vec<&(String, String)> = headers.iter().collect();
        sorted.sort();
        for (name, value) in sorted {
            self.text("completionCallbacks.headers", Some(name));
            self.bytes(value.as_bytes());
        }
    }

    fn link(&mut self, link: &Link) {
        match link {
            Link::WorkflowEvent {
                namespace,
                workflow_id,
                run_id,
                event_id,
                event_type,
            } => {
                self.text("links.workflowEvent.namespace", Some(namespace));
                self.text("links.workflowEvent.workflowId", Some(workflow_id));
                self.text("links.workflowEvent.runId", Some(run_id));
                self.number("links.workflowEvent.eventId", *event_id);
                let event_type = event_type.map(LinkEventType::as_str);
                self.text("links.workflowEvent.eventType", event_type);
            }
            Link::BatchJob { job_id } => self.text("links.batchJob.jobId", Some(job_id)),
        }
    }

    fn on_conflict(&mut self, on_conflict: &OnConflict) {
        let OnConflict {
            attach_request_id,
            attach_completion_callbacks,
            attach_links,
        } = on_conflict;
        let mut flag = |name: &str, value: &bool| self.number(name, Some(value));
        flag("onConflict.attachRequestId", attach_request_id);
        flag(
            "onConflict.attachCompletionCallbacks",
            attach_completion_callbacks,
        );
        flag("onConflict.attachLinks", attach_links);
    }
}
