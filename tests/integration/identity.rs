//! What a start is known by, as literals: content digests, generated Workflow IDs, request IDs,
//! the digest of a batch, and shards.
//!
//! A repeat under the same key finds its Workflows by these. A value that moves starts Workflows a
//! second time, so none may move without being seen here, and in the changelog.

use std::sync::Arc;

use temporal_manifest::expand::identity::IdempotencyKey;
use temporal_manifest::expand::selection::Shard;
use temporal_manifest::expand::start::Start;
use temporal_manifest::expand::{Expansion, Invocation, Options, Preflight};
use temporal_manifest::manifest;
use temporal_manifest::manifest::source::Source;

use crate::support::binary::{Binary, Folder};
use crate::support::fake_frontend::FakeFrontend;

/// A minimal start, one with every field, and starts that differ only in where a text stands.
const MANIFEST: &str = r#"
apiVersion: temporal-manifest/v1
kind: Starts
metadata: {name: pinned}
starts:
  - {type: Echo, taskQueue: q}
  - name: full
    type: Echo
    taskQueue: q
    args: [{b: 1, a: 9007199254740993}, null, !!binary aGVsbG8=, {$payload: {encoding: json/protobuf, data: '{}', metadata: {messageType: a.B}}}]
    idReusePolicy: AllowDuplicateFailedOnly
    idConflictPolicy: UseExisting
    executionTimeout: 2d
    runTimeout: 1h30m
    taskTimeout: 10s
    startDelay: 30s
    retryPolicy: {initialInterval: 1s, backoffCoefficient: 2.5, maximumInterval: 100s, maximumAttempts: 3, nonRetryableErrorTypes: [A, B]}
    memo: {z: 1, a: two}
    searchAttributes: {Tags: [x, y], Id: acme}
    headers: {tenant: acme}
    priority: {key: 2, fairnessKey: k, fairnessWeight: 1.5}
    staticSummary: summary
    staticDetails: details
    versioningOverride: {pinned: {deploymentName: d, buildId: b}}
    completionCallbacks: [{url: "https://example.com/done", headers: {token: abc}}]
    links:
      - workflowEvent: {namespace: default, workflowId: w, runId: 01902f6e-7d1c-7000-8000-000000000001, eventId: 1, eventType: WorkflowExecutionStarted}
      - batchJob: {jobId: j}
    onConflict: {attachRequestId: true, attachCompletionCallbacks: true, attachLinks: false}
    failExisting: true
  - {type: Echo, taskQueue: q, staticSummary: text}
  - {type: Echo, taskQueue: q, staticDetails: text}
  - {type: Echo, taskQueue: q, args: [text]}
  - {type: Echo, taskQueue: q, memo: {text: text}}
  - {type: Echo, taskQueue: q, headers: {text: text}}
  - {type: Echo, taskQueue: q, cronSchedule: "@daily", versioningOverride: {autoUpgrade: true}}
  - {type: Echo, taskQueue: q}
  - {type: Echo, taskQueue: q, workflowId: given}
"#;

/// Content digest, Workflow ID, request ID in the namespace `default`, number of the shard of 3.
type Known = (&'static str, &'static str, &'static str, u32);

const KNOWN: [Known; 10] = [
    (
        "340871b84a4c7fcc50ce02d37eb9a05562f05bf439077d8c9721dd4462d09ecb",
        "pinned-Echo-60f023a4dc8a1447",
        "4ac0d10a-f015-520c-bc5e-f0efd025a9ff",
        1,
    ),
    (
        "48495b24045985e36a710a974fc4bc0a79b4bb60eec349cb4997a89edb0f26ed",
        "pinned-full-ffb1a39199874b2c",
        "267c411c-8312-549a-a548-bfe0ac633f10",
        3,
    ),
    (
        "71332f1e2d8aaf1fdd81976693871a5d7ed0769f00ee982b0794d09197846cb0",
        "pinned-Echo-f1a6f5397d269395",
        "fa9e9c3d-704e-5b8a-8af8-f6c3912415a1",
        1,
    ),
    (
        "23ecf04f0380f1bd3b403936aeb93d4976de143fb82beaa087b45367352359d4",
        "pinned-Echo-be2d1c71e3c0b150",
        "f8cc1498-41aa-57ac-8cc2-23578157ce82",
        2,
    ),
    (
        "30311bbb9e227392452e227c9ef1c3612548e99182d5d022693796730e087bc9",
        "pinned-Echo-406c06f56d26821f",
        "d332d209-12a9-5cf8-80b5-4a22a0034f04",
        1,
    ),
    (
        "99a7cb9a12a1c7110c36387d6700e06713e87b0c07443f4a90c386b0f454c092",
        "pinned-Echo-edfa261b37ce0e15",
        "f074ed10-3897-57e8-8b36-26d8fdbc05e0",
        1,
    ),
    (
        "680eec38de581f18b23a1ee133031320cdaf59dc91cab6bccd213e8e5803f5d6",
        "pinned-Echo-7dc6443a7a2eb0f9",
        "e86806f7-dab6-5d0a-8a45-5918640cf54f",
        3,
    ),
    (
        "9c5c35f6865e17082c09ce86d3385ac4614bd409d7ba152983df9cef3ce9737e",
        "pinned-Echo-798b3bd43155ab10",
        "9cf668a2-ccad-5e4e-bbba-4ef31d7ffe11",
        2,
    ),
    (
        "340871b84a4c7fcc50ce02d37eb9a05562f05bf439077d8c9721dd4462d09ecb",
        "pinned-Echo-ad612d3e03be0e42",
        "9c98654e-06ca-53bd-88d3-9b2f35971043",
        3,
    ),
    (
        "340871b84a4c7fcc50ce02d37eb9a05562f05bf439077d8c9721dd4462d09ecb",
        "given",
        "ebeb6314-7b00-5509-9e01-de474da6d714",
        2,
    ),
];

const BATCH: &str = "99b9497b5634bd3a9fa97175670b2a1b59e6414167eb8e0cd4d548942238eaa8";

fn key() -> IdempotencyKey {
    IdempotencyKey::given("nightly-2026-11-24")
}

fn expand(text: &str) -> (Vec<Start>, Preflight) {
    let source = Arc::new(Source::new("pinned.yaml", ".", text.to_owned()));
    let loaded = manifest::load_source(&source);
    assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
    let options = Options {
        key: Some(key()),
        digest: true,
        allow_outside: false,
        files_read: Default::default(),
        env: Default::default(),
        vars: Default::default(),
        selection: Default::default(),
        invocation: Invocation {
            id: "any".to_owned(),
            started_at: jiff::Timestamp::UNIX_EPOCH,
        },
    };
    let expansion = Expansion::new(loaded.manifests, options).expect("there are no variables");
    let (preflight, batch) = expansion.preflight();
    let batch = batch.expect("it is sound");
    let starts = batch.starts().map(|start| start.expect("it is sound"));
    (starts.collect(), preflight)
}

fn shard(workflow_id: &str) -> u32 {
    let within = |number: &u32| {
        let shard = Shard::new(*number, 3).expect("there is such a shard");
        shard.contains(workflow_id)
    };
    (1..=3).find(within).expect("each one is in a shard")
}

#[test]
fn every_identity_is_what_it_was() {
    let (starts, preflight) = expand(MANIFEST);
    let found: Vec<_> = starts
        .iter()
        .map(|start| {
            let request_id = key().request_id("default", &start.workflow_id);
            (
                hex(&start.content_digest()),
                start.workflow_id.clone(),
                request_id.to_string(),
                shard(&start.workflow_id),
            )
        })
        .collect();
    let known: Vec<_> = KNOWN
        .iter()
        .map(|(digest, id, request, shard)| {
            let text = |text: &str| text.to_owned();
            (text(digest), text(id), text(request), *shard)
        })
        .collect();
    assert_eq!(found, known, "{found:#?}");
    assert_eq!(preflight.digest.as_deref(), Some(BATCH));
}

/// What flags add to a request, an identity or metadata, is added after the digest was taken.
#[test]
fn what_flags_add_to_requests_moves_nothing() {
    let folder = Folder::new();
    let journal = folder.path().join("pinned.journal");
    let fake = FakeFrontend::healthy();
    let key = key();
    let flags = [
        "--idempotency-key",
        key.as_str(),
        "--identity",
        "somebody else",
        "--grpc-meta",
        "traceparent=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ];
    Binary::apply(folder.manifest(MANIFEST), &fake.address(), &flags)
        .arg("--journal")
        .arg(&journal)
        .run()
        .expect_code(0);
    let mut sent = Vec::new();
    for start in fake.starts() {
        assert_eq!(start.message.identity, "somebody else");
        assert!(start.metadata.contains_key("traceparent"));
        let (of_key, _of_invocation) = start.message.request_id.split_at(32);
        sent.push((start.message.workflow_id.clone(), of_key.to_owned()));
    }
    sent.sort();
    let mut known = KNOWN.map(|(_, workflow_id, request_id, _)| {
        (workflow_id.to_owned(), request_id.replace('-', ""))
    });
    known.sort();
    assert_eq!(sent, known);
    let journal = std::fs::read_to_string(journal).expect("the journal was written");
    assert!(
        journal.contains(&format!(r#""digest":"{BATCH}""#)),
        "{journal}"
    );
}

#[test]
fn a_header_of_a_callback_does_not_look_like_another_callback() {
    let digest = |callbacks: &str| {
        let start = format!("{{type: Echo, taskQueue: q, completionCallbacks: {callbacks}}}");
        let head = "apiVersion: temporal-manifest/v1\nkind: Starts\nmetadata: {name: x}\n";
        expand(&format!("{head}starts: [{start}]\n")).0[0].content_digest()
    };
    let two = digest(r#"[{url: "http://a/"}, {url: "http://b/"}]"#);
    let one = digest(r#"[{url: "http://a/", headers: {completionCallbacks.url: "http://b/"}}]"#);
    assert_ne!(two, one);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
