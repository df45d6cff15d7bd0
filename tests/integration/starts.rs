//! Starts: all of them, every field of them, a bad one among them, and never too many at a time.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsString;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use serde_json::json;
use temporal_manifest::client::api::temporal::api::common::v1::{
    Callback, Header, Link, Memo, Payload, Payloads, Priority, RetryPolicy, SearchAttributes,
    WorkflowType, callback, link,
};
use temporal_manifest::client::api::temporal::api::enums::v1::{
    EventType, TaskQueueKind, WorkflowExecutionStatus, WorkflowIdConflictPolicy,
    WorkflowIdReusePolicy,
};
use temporal_manifest::client::api::temporal::api::history::v1::WorkflowExecutionStartedEventAttributes;
use temporal_manifest::client::api::temporal::api::history::v1::history_event::Attributes;
use temporal_manifest::client::api::temporal::api::sdk::v1::UserMetadata;
use temporal_manifest::client::api::temporal::api::taskqueue::v1::TaskQueue;
use temporal_manifest::client::api::temporal::api::workflow::v1::VersioningOverride;
use temporal_manifest::client::api::temporal::api::workflow::v1::versioning_override::Override;
use temporal_manifest::client::api::temporal::api::workflowservice::v1::StartWorkflowExecutionRequest;
use tonic::metadata::MetadataMap;

use crate::support::binary::{Binary, Folder};
use crate::support::dev_server::{self, DevServer, SharedServer};
use crate::support::fake_frontend::{self, FakeFrontend};
use crate::support::report::{Report, text};
use crate::support::workflows::describe_request;
use crate::support::{UNSERVED, block_on, unique_id};

#[test]
fn a_thousand_starts_are_a_thousand_runs() {
    const STARTS: usize = 1000;
    let Some(server) = dev_server::shared() else {
        return;
    };
    let prefix = unique_id("thousand");
    let folder = Folder::new();
    let manifest = folder.starts((0..STARTS).map(|number| {
        json!({"workflowId": format!("{prefix}-{number}"), "type": "Any", "taskQueue": UNSERVED})
    }));
    let flags = ["--parallelism", "32", "-o", "json"];
    let finished = Binary::apply(manifest, &server.address, &flags)
        .run()
        .expect_code(0);
    let report = Report::of(&finished);
    assert_eq!(report.count("total"), STARTS as u64);
    assert_eq!(report.count("started"), STARTS as u64);
    assert_eq!(report.count("attempts"), STARTS as u64);
    let runs: HashMap<&str, &str> = report
        .starts()
        .iter()
        .map(|start| (text(start, "runId"), text(start, "workflowId")))
        .collect();
    assert_eq!(runs.len(), STARTS, "every start has a run ID of its own");
    let workflow_ids: HashSet<&str> = runs.values().copied().collect();
    assert_eq!(workflow_ids.len(), STARTS);
    for (number, start) in report.starts().iter().enumerate() {
        assert_eq!(start["index"], number);
        assert_eq!(start["workflowId"], format!("{prefix}-{number}"));
    }
    assert_eq!(known_runs(&server, &runs), STARTS);
    server.wait_for_count(&format!("WorkflowId STARTS_WITH '{prefix}-'"), STARTS);
}

/// How many of these runs the server knows under these Workflow IDs.
fn known_runs(server: &SharedServer, runs: &HashMap<&str, &str>) -> usize {
    block_on(async {
        let client = server.client().await;
        let mut described = FuturesUnordered::new();
        let mut known = 0;
        for (run_id, workflow_id) in runs {
            let mut client = client.clone();
            let request = describe_request(workflow_id, run_id);
            described.push(async move { client.describe_workflow_execution(request).await });
            if described.len() == 32 {
                known += usize::from(described.next().await.is_some_and(|it| it.is_ok()));
            }
        }
        while let Some(answer) = described.next().await {
            known += usize::from(answer.is_ok());
        }
        known
    })
}

#[test]
fn one_bad_start_does_not_stop_the_others() {
    let Some(server) = dev_server::shared() else {
        return;
    };
    let prefix = unique_id("bad");
    let folder = Folder::new();
    let mut manifest = String::from(
        "apiVersion: temporal-manifest/v1\nkind: Starts\nmetadata: {name: one-bad}\nstarts:\n",
    );
    for number in 0..100 {
        let more = if number == 57 {
            ", searchAttributes: {NobodyRegisteredThis: x}"
        } else {
            ""
        };
        manifest += &format!(
            "  - {{workflowId: {prefix}-{number}, type: Any, taskQueue: {UNSERVED}{more}}}\n"
        );
    }
    let path = folder.manifest(&manifest);
    let finished = Binary::apply(&path, &server.address, &["-o", "json"])
        .run()
        .expect_code(4);
    let report = Report::of(&finished);
    assert_eq!(report.count("started"), 99);
    assert_eq!(report.count("failed"), 1);
    let bad = report.start(&format!("{prefix}-57"));
    assert_eq!(bad["outcome"], "failed");
    assert_eq!(bad["attempts"], 1);
    // The four lines above the list come first.
    assert_eq!(bad["source"], json!({"file": path.to_str(), "line": 62}));
    let words =
        "Namespace default has no mapping defined for search attribute NobodyRegisteredThis";
    assert_eq!(
        bad["error"],
        json!({
            "code": "INVALID_ARGUMENT",
            "reason": "invalidArgument",
            "message": words,
            "retryable": false,
        })
    );
    server.wait_for_count(&format!("WorkflowId STARTS_WITH '{prefix}-'"), 99);

    // For people, the place and the words stand in the final table.
    let bad_alone = folder.manifest(&format!(
        "apiVersion: temporal-manifest/v1\nkind: Starts\nmetadata: {{name: one-bad}}\nstarts:\n\
         \x20 - {{workflowId: {prefix}-57, type: Any, taskQueue: {UNSERVED}, \
         searchAttributes: {{NobodyRegisteredThis: x}}}}\n"
    ));
    let finished = Binary::apply(&bad_alone, &server.address, &[])
        .run()
        .expect_code(4);
    let place = format!("{}:5", bad_alone.to_str().expect("a plain path"));
    assert!(finished.stdout.contains(&place), "{}", finished.stdout);
    assert!(finished.stdout.contains(words), "{}", finished.stdout);
    assert!(
        finished.stdout.contains("1 start: 0 started, 1 failed"),
        "{}",
        finished.stdout
    );
}

#[test]
fn exactly_as_many_starts_are_in_flight_as_asked_for() {
    for parallelism in [1, 2, 32] {
        let (release, released) = tokio::sync::watch::channel(false);
        let fake = FakeFrontend::builder()
            // Long enough for a start too many to arrive beside those that are held.
            .start_latency(Duration::from_millis(20))
            .on_start(move |_, _| {
                let mut released = released.clone();
                async move {
                    released
                        .wait_for(|released| *released)
                        .await
                        .expect("the test releases what it holds");
                    Ok(fake_frontend::started())
                }
            })
            .start();
        let folder = Folder::new();
        let starts = parallelism * 4;
        let manifest = folder.starts((0..starts).map(
            |number| json!({"workflowId": format!("w-{number}"), "type": "Any", "taskQueue": "q"}),
        ));
        let limit = parallelism.to_string();
        let flags = ["--parallelism", &limit, "-o", "none"];
        let running = Binary::apply(manifest, &fake.address(), &flags).spawn();
        // Nothing is answered before all of them are there.
        fake.wait_for_starts(parallelism);
        release.send(true).expect("the fake is there");
        running.finish().expect_code(0);
        assert_eq!(fake.start_count(), starts);
        assert_eq!(fake.max_in_flight(), parallelism);
    }
}

/// A start with every field, and what a request for it must be.
struct EveryField {
    folder: Folder,
    workflow_id: String,
}

impl EveryField {
    fn new() -> Self {
        let folder = Folder::new();
        folder.write("data/bytes.bin", b"\x00\x01\xfe\xff");
        Self {
            folder,
            workflow_id: unique_id("every"),
        }
    }

    fn cron_id(&self) -> String {
        format!("{}-cron", self.workflow_id)
    }

    fn manifest(&self) -> OsString {
        self.folder.manifest(
            &r#"
apiVersion: temporal-manifest/v1
kind: Starts
metadata: {name: every-field}
starts:
  - name: every field
    workflowId: ID
    type: Every
    taskQueue: manifest-test-unserved
    args:
      - 9007199254740993
      - 18446744073709551615
      - -9223372036854775808
      - 0.1
      - {b: 1, a: [2, {z: null, y: "ü"}]}
      - null
      - !!binary AAH/gA==
      - "Grüße, 世界 🚀"
      - $payload: {encoding: json/protobuf, data: {b: 1, a: "1"}, metadata: {messageType: bank.Money}}
      - $payload: {encoding: binary/encrypted, base64: AAEC/w==, metadata: {key-id: k1}}
      - $payload: {encoding: binary/plain, file: data/bytes.bin}
      - $$payload: literal
      - [[], {}, "", true]
    idReusePolicy: AllowDuplicateFailedOnly
    idConflictPolicy: UseExisting
    onConflict: {attachRequestId: true, attachCompletionCallbacks: true, attachLinks: true}
    executionTimeout: 2d
    runTimeout: 1h30m
    taskTimeout: 15s
    startDelay: 1h
    retryPolicy:
      initialInterval: 2s
      backoffCoefficient: 1.5
      maximumInterval: 1m
      maximumAttempts: 7
      nonRetryableErrorTypes: [CardDeclined, "TemporalTimeout:StartToClose"]
    memo: {count: 9007199254740993, nothing: null, text: "ü"}
    searchAttributes:
      ManifestKeyword: "k ü"
      ManifestInt: 9007199254740993
      ManifestBool: true
      ManifestDouble: 0.5
      ManifestDatetime: 2026-11-01T00:00:00Z
      ManifestList: [a, b]
      ManifestText: some text
    headers: {tenant: acme, raw: !!binary AAH/gA==}
    priority: {key: 2, fairnessKey: tenant-7, fairnessWeight: 1.5}
    staticSummary: Bills **acme**
    staticDetails: "line one\nline two"
    versioningOverride: {autoUpgrade: true}
    completionCallbacks:
      - {url: "http://127.0.0.1:9/done", headers: {token: abc}}
    links:
      - workflowEvent:
          namespace: default
          workflowId: import-7
          runId: 01902f6e-7d1c-7000-8000-000000000001
          eventId: 5
          eventType: WorkflowExecutionSignaled
      - batchJob: {jobId: import-7}
  - workflowId: ID-cron
    type: Every
    taskQueue: manifest-test-unserved
    cronSchedule: 0 12 * * MON-FRI
"#
            .replace("ID", &self.workflow_id),
        )
    }

    fn request(&self, identity: &str, request_id: &str) -> StartWorkflowExecutionRequest {
        let bytes: &[u8] = &[0, 1, 255, 128];
        let input = vec![
            json_plain("9007199254740993"),
            json_plain("18446744073709551615"),
            json_plain("-9223372036854775808"),
            json_plain("0.1"),
            json_plain(r#"{"b":1,"a":[2,{"z":null,"y":"ü"}]}"#),
            payload("binary/null", b"", &[]),
            payload("binary/plain", bytes, &[]),
            json_plain(r#""Grüße, 世界 🚀""#),
            payload(
                "json/protobuf",
                br#"{"b":1,"a":"1"}"#,
                &[("messageType", "bank.Money")],
            ),
            payload("binary/encrypted", &[0, 1, 2, 255], &[("key-id", "k1")]),
            payload("binary/plain", &[0, 1, 254, 255], &[]),
            json_plain(r#"{"$payload":"literal"}"#),
            json_plain(r#"[[],{},"",true]"#),
        ];
        StartWorkflowExecutionRequest {
            namespace: "default".to_owned(),
            workflow_id: self.workflow_id.clone(),
            workflow_type: Some(WorkflowType {
                name: "Every".to_owned(),
            }),
            task_queue: Some(unserved()),
            input: Some(Payloads { payloads: input }),
            workflow_execution_timeout: seconds(2 * 24 * 60 * 60),
            workflow_run_timeout: seconds(90 * 60),
            workflow_task_timeout: seconds(15),
            identity: identity.to_owned(),
            request_id: request_id.to_owned(),
            // The manifest's own decide only over the run of somebody else.
            workflow_id_reuse_policy: WorkflowIdReusePolicy::RejectDuplicate.into(),
            workflow_id_conflict_policy: WorkflowIdConflictPolicy::Fail.into(),
            retry_policy: Some(RetryPolicy {
                initial_interval: seconds(2),
                backoff_coefficient: 1.5,
                maximum_interval: seconds(60),
                maximum_attempts: 7,
                non_retryable_error_types: vec![
                    "CardDeclined".to_owned(),
                    "TemporalTimeout:StartToClose".to_owned(),
                ],
            }),
            cron_schedule: String::new(),
            memo: Some(Memo {
                fields: named([
                    ("count", json_plain("9007199254740993")),
                    ("nothing", payload("binary/null", b"", &[])),
                    ("text", json_plain(r#""ü""#)),
                ]),
            }),
            search_attributes: Some(SearchAttributes {
                indexed_fields: named([
                    ("ManifestKeyword", json_plain(r#""k ü""#)),
                    ("ManifestInt", json_plain("9007199254740993")),
                    ("ManifestBool", json_plain("true")),
                    ("ManifestDouble", json_plain("0.5")),
                    ("ManifestDatetime", json_plain(r#""2026-11-01T00:00:00Z""#)),
                    ("ManifestList", json_plain(r#"["a","b"]"#)),
                    ("ManifestText", json_plain(r#""some text""#)),
                ]),
            }),
            header: Some(Header {
                fields: named([
                    ("tenant", json_plain(r#""acme""#)),
                    ("raw", payload("binary/plain", bytes, &[])),
                ]),
            }),
            workflow_start_delay: seconds(60 * 60),
            completion_callbacks: vec![Callback {
                variant: Some(callback::Variant::Nexus(callback::Nexus {
                    url: "http://127.0.0.1:9/done".to_owned(),
                    header: [("token".to_owned(), "abc".to_owned())].into(),
                })),
            }],
            user_metadata: Some(UserMetadata {
                summary: Some(json_plain(r#""Bills **acme**""#)),
                details: Some(json_plain(r#""line one\nline two""#)),
            }),
            links: vec![event_link(), batch_link()],
            versioning_override: Some(VersioningOverride {
                r#override: Some(Override::AutoUpgrade(true)),
            }),
            on_conflict_options: None,
            priority: Some(Priority {
                priority_key: 2,
                fairness_key: "tenant-7".to_owned(),
                fairness_weight: 1.5,
            }),
        }
    }
}

fn json_plain(text: &str) -> Payload {
    payload("json/plain", text.as_bytes(), &[])
}

fn payload(encoding: &str, data: &[u8], more: &[(&str, &str)]) -> Payload {
    let encoding = ("encoding", encoding);
    Payload {
        metadata: std::iter::once(&encoding)
            .chain(more)
            .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
            .collect(),
        data: Bytes::copy_from_slice(data),
    }
}

fn named<const N: usize>(values: [(&str, Payload); N]) -> BTreeMap<String, Payload> {
    values.map(|(name, value)| (name.to_owned(), value)).into()
}

fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

fn unserved() -> TaskQueue {
    TaskQueue {
        name: UNSERVED.to_owned(),
        kind: TaskQueueKind::Normal.into(),
        normal_name: String::new(),
    }
}

fn event_link() -> Link {
    use link::workflow_event::{EventReference, Reference};
    Link {
        variant: Some(link::Variant::WorkflowEvent(link::WorkflowEvent {
            namespace: "default".to_owned(),
            workflow_id: "import-7".to_owned(),
            run_id: "01902f6e-7d1c-7000-8000-000000000001".to_owned(),
            reference: Some(Reference::EventRef(EventReference {
                event_id: 5,
                event_type: EventType::WorkflowExecutionSignaled.into(),
            })),
        })),
    }
}

fn batch_link() -> Link {
    Link {
        variant: Some(link::Variant::BatchJob(link::BatchJob {
            job_id: "import-7".to_owned(),
        })),
    }
}

#[test]
fn every_field_arrives_as_written() {
    let every = EveryField::new();
    let fake = FakeFrontend::healthy();
    let flags = [
        "--identity",
        "me",
        "-o",
        "json",
        "--api-key",
        "s3cret",
        "--tls=false",
    ];
    let finished = Binary::apply(every.manifest(), &fake.address(), &flags)
        .run()
        .expect_code(0);
    let report = Report::of(&finished);
    let starts = fake.starts();
    let sent = |workflow_id: &str| {
        let mut found = starts
            .iter()
            .filter(|start| start.message.workflow_id == workflow_id);
        let first = found.next().expect("the start was sent");
        assert!(found.next().is_none(), "a fresh key needs one call a start");
        &first.message
    };
    assert_eq!(
        *sent(&every.workflow_id),
        every.request("me", &report.probe_id(&every.workflow_id)),
        "the start with every field"
    );
    // What is not set is not sent, so that the service's defaults hold.
    let cron = StartWorkflowExecutionRequest {
        namespace: "default".to_owned(),
        workflow_id: every.cron_id(),
        workflow_type: Some(WorkflowType {
            name: "Every".to_owned(),
        }),
        task_queue: Some(unserved()),
        identity: "me".to_owned(),
        request_id: report.probe_id(&every.cron_id()),
        workflow_id_reuse_policy: WorkflowIdReusePolicy::RejectDuplicate.into(),
        workflow_id_conflict_policy: WorkflowIdConflictPolicy::Fail.into(),
        cron_schedule: "0 12 * * MON-FRI".to_owned(),
        ..StartWorkflowExecutionRequest::default()
    };
    assert_eq!(*sent(&every.cron_id()), cron, "the start with few fields");

    let calls: Vec<MetadataMap> = starts
        .into_iter()
        .map(|call| call.metadata)
        .chain(fake.system_infos().into_iter().map(|call| call.metadata))
        .chain(fake.namespaces().into_iter().map(|call| call.metadata))
        .collect();
    assert_eq!(calls.len(), 4, "two starts and two first questions");
    for metadata in &calls {
        let value = |name: &str| metadata.get(name).map(|value| value.as_bytes());
        // The fake takes no compressed message; this names the fault.
        assert_eq!(value("grpc-encoding"), None);
        assert_eq!(value("client-name"), Some(&b"temporal-manifest"[..]));
        let version = env!("CARGO_PKG_VERSION").as_bytes();
        assert_eq!(value("client-version"), Some(version));
        assert_eq!(value("temporal-namespace"), Some(&b"default"[..]));
        assert_eq!(value("authorization"), Some(&b"Bearer s3cret"[..]));
    }
}

#[test]
fn every_field_is_stored_as_written() {
    // A server of its own, because search attributes and callback addresses are its settings.
    let Some(server) = DevServer::start(&[
        "--search-attribute=ManifestKeyword=Keyword",
        "--search-attribute=ManifestInt=Int",
        "--search-attribute=ManifestBool=Bool",
        "--search-attribute=ManifestDouble=Double",
        "--search-attribute=ManifestDatetime=Datetime",
        "--search-attribute=ManifestList=KeywordList",
        "--search-attribute=ManifestText=Text",
        r#"--dynamic-config-value=callback.allowedAddresses=[{"Pattern":"*","AllowInsecure":true}]"#,
    ]) else {
        return;
    };
    let every = EveryField::new();
    let finished = Binary::apply(every.manifest(), &server.address, &["-o", "json"])
        .env("USER", "ada")
        .env("HOSTNAME", "engine")
        .run()
        .expect_code(0);
    let report = Report::of(&finished);
    let invocation_id = text(&report.document()["invocation"], "id");
    let identity = format!("temporal-manifest:ada@engine:{invocation_id}");
    let start = report.start(&every.workflow_id);
    let request_id = report.probe_id(&every.workflow_id);
    let run_id = text(start, "runId");
    let asked = every.request(&identity, &request_id);

    let event = server.first_event(&every.workflow_id, run_id);
    assert_eq!(event.user_metadata, asked.user_metadata);
    assert_eq!(event.links, asked.links);
    let stored = started_attributes(event.attributes);
    assert_eq!(stored.workflow_type, asked.workflow_type);
    assert_eq!(stored.task_queue, asked.task_queue);
    assert_eq!(stored.input, asked.input);
    assert_eq!(
        stored.workflow_execution_timeout,
        asked.workflow_execution_timeout
    );
    assert_eq!(stored.workflow_run_timeout, asked.workflow_run_timeout);
    assert_eq!(stored.workflow_task_timeout, asked.workflow_task_timeout);
    assert_eq!(stored.identity, identity);
    assert_eq!(stored.retry_policy, asked.retry_policy);
    assert_eq!(stored.cron_schedule, "");
    assert_eq!(
        stored.first_workflow_task_backoff,
        asked.workflow_start_delay
    );
    assert_eq!(stored.header, asked.header);
    assert_eq!(stored.versioning_override, asked.versioning_override);
    assert_eq!(stored.priority, asked.priority);
    assert_eq!(stored.completion_callbacks, asked.completion_callbacks);
    // The service drops what is null from a memo.
    let mut memo = asked.memo.unwrap_or_default();
    memo.fields.remove("nothing").expect("it was asked for");
    assert_eq!(stored.memo.as_ref(), Some(&memo));
    let indexed = |attributes: Option<SearchAttributes>| {
        let fields = attributes.unwrap_or_default().indexed_fields.into_iter();
        // The service adds the type to the metadata, and attributes of its own.
        fields
            .filter(|(name, _)| name.starts_with("Manifest"))
            .map(|(name, payload)| (name, payload.data))
            .collect::<HashMap<_, _>>()
    };
    let asked_attributes = indexed(asked.search_attributes);
    assert_eq!(asked_attributes.len(), 7);
    assert_eq!(indexed(stored.search_attributes), asked_attributes);

    let described = server.describe(&every.workflow_id, run_id);
    let config = described.execution_config.unwrap_or_default();
    assert_eq!(config.task_queue, asked.task_queue);
    assert_eq!(
        config.workflow_execution_timeout,
        asked.workflow_execution_timeout
    );
    assert_eq!(config.workflow_run_timeout, asked.workflow_run_timeout);
    assert_eq!(
        config.default_workflow_task_timeout,
        asked.workflow_task_timeout
    );
    assert_eq!(config.user_metadata, asked.user_metadata);
    let info = described.workflow_execution_info.unwrap_or_default();
    assert_eq!(info.status(), WorkflowExecutionStatus::Running);
    assert_eq!(info.priority, asked.priority);
    assert_eq!(info.memo, Some(memo));
    assert_eq!(indexed(info.search_attributes), asked_attributes);
    let began = described.workflow_extended_info.unwrap_or_default();
    let began = began.request_id_infos.get(&request_id);
    assert_eq!(
        began.map(|info| info.event_type()),
        Some(EventType::WorkflowExecutionStarted)
    );

    let cron_run = report.run_id(&every.cron_id());
    let cron = server.first_event(&every.cron_id(), &cron_run);
    let cron = started_attributes(cron.attributes);
    assert_eq!(cron.cron_schedule, "0 12 * * MON-FRI");
    assert_eq!(cron.input, None);
}

fn started_attributes(attributes: Option<Attributes>) -> WorkflowExecutionStartedEventAttributes {
    match attributes {
        Some(Attributes::WorkflowExecutionStartedEventAttributes(started)) => started,
        other => panic!("not the first event: {other:?}"),
    }
}
