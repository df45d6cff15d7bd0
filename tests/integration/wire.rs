//! Our `proto/` says the same as the server's own descriptors.
//!
//! A wrong field number would not fail any call: the server would read the value as another field
//! or skip it. So every name, number, type and label is compared with what the server tells about
//! itself by gRPC reflection. The server may know more than we do; we may not know anything else.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::stream;
use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    FileDescriptorSet, ServiceDescriptorProto,
};
use temporal_manifest::client::connect::{self, Connection};
use temporal_manifest::client::facts::NamespaceState;
use tonic::transport::Channel;
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use crate::support::dev_server;

#[tokio::test]
async fn proto_agrees_with_the_server() {
    let Some(server) = dev_server::shared() else {
        return;
    };
    let ours = ours();
    let theirs = reflect(server.channel().await, &ours).await;
    let differences = differences(&ours, &theirs);
    assert!(
        differences.is_empty(),
        "proto/ differs from the server:\n{}",
        differences.join("\n")
    );
}

#[tokio::test]
async fn what_a_server_says_of_itself_is_kept() {
    let Some(server) = dev_server::shared() else {
        return;
    };
    let prepared = connect::prepare(Connection {
        address: server.address.clone(),
        namespace: "default".to_owned(),
        identity: "facts".to_owned(),
        tls: None,
        api_key: None,
        grpc_meta: Vec::new(),
        connect_timeout: Duration::from_secs(10),
    });
    let client = connect::connect(prepared.expect("the address is plain")).await;
    let client = client.expect("the server answers");
    let facts = client.facts();
    assert!(facts.server_version.starts_with("1."), "{facts:?}");
    assert!(
        facts.capabilities.nexus && facts.capabilities.sdk_metadata,
        "{facts:?}"
    );
    let namespace = facts.namespace.as_ref().expect("describing it is allowed");
    assert_eq!(namespace.state, NamespaceState::Registered);
    assert!(namespace.id.is_some() && namespace.id.as_deref() == client.namespace_id());
    // The defaults of a server. Source: temporal `common/dynamicconfig/constants.go`.
    let limits = (namespace.max_payload_bytes, namespace.max_memo_bytes);
    assert_eq!(limits, (Some(2 << 20), Some(2 << 20)));
}

#[test]
fn equal_descriptors_do_not_differ() {
    assert_eq!(differences(&ours(), &ours()), Vec::<String>::new());
}

#[test]
fn more_on_the_other_side_is_no_difference() {
    let mut theirs = ours();
    let start = message(&mut theirs, "StartWorkflowExecutionRequest");
    let mut extra = start.field[0].clone();
    extra.name = Some("from_the_future".to_owned());
    extra.number = Some(1000);
    start.field.push(extra);
    assert_eq!(differences(&ours(), &theirs), Vec::<String>::new());
}

/// The comparison is only worth something if it notices. One deliberate change each.
#[test]
fn every_kind_of_change_is_noticed() {
    type Change = fn(&mut FileDescriptorSet);
    let cases: &[(&str, Change, &[&str])] = &[
        (
            "renumbered field",
            |set| field(set, "StartWorkflowExecutionRequest", "request_id").number = Some(99),
            &[
                "temporal.api.workflowservice.v1.StartWorkflowExecutionRequest.request_id: \
               number 99, the server has 10",
            ],
        ),
        (
            "changed scalar type",
            |set| field(set, "Payload", "data").set_type(Type::String),
            &["temporal.api.common.v1.Payload.data: type String, the server has Bytes"],
        ),
        (
            "changed message type",
            |set| {
                field(set, "StartWorkflowExecutionRequest", "memo").type_name =
                    Some(".temporal.api.common.v1.Header".to_owned());
            },
            &[
                "temporal.api.workflowservice.v1.StartWorkflowExecutionRequest.memo: \
               type name .temporal.api.common.v1.Header, the server has \
               .temporal.api.common.v1.Memo",
            ],
        ),
        (
            "changed label",
            |set| field(set, "Payloads", "payloads").set_label(Label::Optional),
            &["temporal.api.common.v1.Payloads.payloads: label Optional, the server has Repeated"],
        ),
        (
            "renamed field",
            |set| field(set, "WorkflowType", "name").name = Some("title".to_owned()),
            &["temporal.api.common.v1.WorkflowType.title: the server has no such field"],
        ),
        (
            "field outside its oneof",
            |set| field(set, "Failure", "timeout_failure_info").oneof_index = None,
            &["temporal.api.failure.v1.Failure.timeout_failure_info: \
               oneof none, the server has failure_info"],
        ),
        (
            "renamed oneof",
            |set| {
                message(set, "VersioningOverride").oneof_decl[0].name = Some("choice".to_owned());
            },
            &[
                "temporal.api.workflow.v1.VersioningOverride.pinned: \
                 oneof choice, the server has override",
                "temporal.api.workflow.v1.VersioningOverride.auto_upgrade: \
                 oneof choice, the server has override",
            ],
        ),
        (
            "field with presence",
            |set| field(set, "Priority", "priority_key").proto3_optional = Some(true),
            &["temporal.api.common.v1.Priority.priority_key: \
               presence true, the server has false"],
        ),
        (
            "renamed message",
            |set| message(set, "NamespaceNotFoundFailure").name = Some("Nowhere".to_owned()),
            &["temporal.api.errordetails.v1.Nowhere: the server has no such message"],
        ),
        (
            "renamed nested message",
            |set| {
                message(set, "Callback").nested_type[0].name = Some("Webhook".to_owned());
            },
            &[
                "temporal.api.common.v1.Callback.Webhook: the server has no such message",
                "temporal.api.common.v1.Callback.Webhook.HeaderEntry: \
                 the server has no such message",
            ],
        ),
        (
            "changed map value",
            |set| {
                message(set, "Memo").nested_type[0].field[1].set_type(Type::Bytes);
            },
            &["temporal.api.common.v1.Memo.FieldsEntry.value: type Bytes, the server has Message"],
        ),
        (
            "renamed enum value",
            |set| {
                enumeration(set, "WorkflowIdConflictPolicy").value[1].name =
                    Some("WORKFLOW_ID_CONFLICT_POLICY_REFUSE".to_owned());
            },
            &["temporal.api.enums.v1.WorkflowIdConflictPolicy.\
               WORKFLOW_ID_CONFLICT_POLICY_REFUSE: the server has no such value"],
        ),
        (
            "renumbered enum value",
            |set| enumeration(set, "WorkflowIdConflictPolicy").value[1].number = Some(7),
            &["temporal.api.enums.v1.WorkflowIdConflictPolicy.\
               WORKFLOW_ID_CONFLICT_POLICY_FAIL: number 7, the server has 1"],
        ),
        (
            "renamed method",
            |set| service(set).method[0].name = Some("BeginWorkflowExecution".to_owned()),
            &[
                "temporal.api.workflowservice.v1.WorkflowService.BeginWorkflowExecution: \
               the server has no such method",
            ],
        ),
        (
            "streaming method",
            |set| service(set).method[0].server_streaming = Some(true),
            &[
                "temporal.api.workflowservice.v1.WorkflowService.StartWorkflowExecution: \
               server streaming true, the server has false",
            ],
        ),
    ];
    for (name, change, expected) in cases {
        let mut changed = ours();
        change(&mut changed);
        assert_eq!(differences(&changed, &ours()), *expected, "{name}");
    }
}

/// What `build.rs` compiled from `proto/`.
fn ours() -> FileDescriptorSet {
    let encoded = include_bytes!(concat!(env!("OUT_DIR"), "/temporal_descriptor.bin"));
    FileDescriptorSet::decode(&encoded[..]).expect("build.rs writes a descriptor set")
}

/// Says where `ours` claims something that `theirs` does not confirm.
fn differences(ours: &FileDescriptorSet, theirs: &FileDescriptorSet) -> Vec<String> {
    let (ours, theirs) = (Index::new(ours), Index::new(theirs));
    let mut differences = Differences::default();
    for (name, message) in &ours.messages {
        match theirs.messages.get(name) {
            Some(counterpart) => differences.in_message(name, message, counterpart),
            None => differences.missing(name, "message"),
        }
    }
    for (name, enumeration) in &ours.enums {
        match theirs.enums.get(name) {
            Some(counterpart) => differences.in_enum(name, enumeration, counterpart),
            None => differences.missing(name, "enum"),
        }
    }
    for (name, service) in &ours.services {
        match theirs.services.get(name) {
            Some(counterpart) => differences.in_service(name, service, counterpart),
            None => differences.missing(name, "service"),
        }
    }
    differences.0
}

/// Everything a descriptor set declares, by full name.
#[derive(Default)]
struct Index<'a> {
    messages: BTreeMap<String, &'a DescriptorProto>,
    enums: BTreeMap<String, &'a EnumDescriptorProto>,
    services: BTreeMap<String, &'a ServiceDescriptorProto>,
}

impl<'a> Index<'a> {
    fn new(set: &'a FileDescriptorSet) -> Self {
        let mut index = Self::default();
        for file in &set.file {
            let package = file.package();
            for message in &file.message_type {
                index.add_message(package, message);
            }
            for enumeration in &file.enum_type {
                index
                    .enums
                    .insert(format!("{package}.{}", enumeration.name()), enumeration);
            }
            for service in &file.service {
                index
                    .services
                    .insert(format!("{package}.{}", service.name()), service);
            }
        }
        index
    }

    fn add_message(&mut self, scope: &str, message: &'a DescriptorProto) {
        let name = format!("{scope}.{}", message.name());
        for nested in &message.nested_type {
            self.add_message(&name, nested);
        }
        for enumeration in &message.enum_type {
            self.enums
                .insert(format!("{name}.{}", enumeration.name()), enumeration);
        }
        self.messages.insert(name, message);
    }
}

#[derive(Default)]
struct Differences(Vec<String>);

impl Differences {
    fn missing(&mut self, name: &str, kind: &str) {
        self.0
            .push(format!("{name}: the server has no such {kind}"));
    }

    fn compare<T: PartialEq + std::fmt::Display>(
        &mut self,
        name: &str,
        fact: &str,
        ours: T,
        theirs: T,
    ) {
        if ours != theirs {
            self.0
                .push(format!("{name}: {fact} {ours}, the server has {theirs}"));
        }
    }

    fn in_message(&mut self, name: &str, ours: &DescriptorProto, theirs: &DescriptorProto) {
        for field in &ours.field {
            let path = format!("{name}.{}", field.name());
            let Some(other) = theirs
                .field
                .iter()
                .find(|other| other.name() == field.name())
            else {
                self.missing(&path, "field");
                continue;
            };
            self.compare(&path, "number", field.number(), other.number());
            self.compare(&path, "type", type_of(field), type_of(other));
            self.compare(&path, "type name", field.type_name(), other.type_name());
            self.compare(&path, "label", label_of(field), label_of(other));
            self.compare(
                &path,
                "presence",
                field.proto3_optional(),
                other.proto3_optional(),
            );
            self.compare(
                &path,
                "oneof",
                oneof_of(ours, field),
                oneof_of(theirs, other),
            );
        }
    }

    fn in_enum(&mut self, name: &str, ours: &EnumDescriptorProto, theirs: &EnumDescriptorProto) {
        for value in &ours.value {
            let path = format!("{name}.{}", value.name());
            match theirs
                .value
                .iter()
                .find(|other| other.name() == value.name())
            {
                Some(other) => self.compare(&path, "number", value.number(), other.number()),
                None => self.missing(&path, "value"),
            }
        }
    }

    fn in_service(
        &mut self,
        name: &str,
        ours: &ServiceDescriptorProto,
        theirs: &ServiceDescriptorProto,
    ) {
        for method in &ours.method {
            let path = format!("{name}.{}", method.name());
            let Some(other) = theirs
                .method
                .iter()
                .find(|other| other.name() == method.name())
            else {
                self.missing(&path, "method");
                continue;
            };
            self.compare(&path, "request", method.input_type(), other.input_type());
            self.compare(&path, "response", method.output_type(), other.output_type());
            self.compare(
                &path,
                "client streaming",
                method.client_streaming(),
                other.client_streaming(),
            );
            self.compare(
                &path,
                "server streaming",
                method.server_streaming(),
                other.server_streaming(),
            );
        }
    }
}

fn type_of(field: &FieldDescriptorProto) -> String {
    format!("{:?}", field.r#type())
}

fn label_of(field: &FieldDescriptorProto) -> String {
    format!("{:?}", field.label())
}

/// Name of the oneof a field belongs to.
fn oneof_of<'a>(message: &'a DescriptorProto, field: &FieldDescriptorProto) -> &'a str {
    field
        .oneof_index
        .and_then(|index| message.oneof_decl.get(usize::try_from(index).ok()?))
        .map_or("none", |oneof| oneof.name())
}

/// Asks the server for the files that declare what `wanted` declares.
async fn reflect(channel: Channel, wanted: &FileDescriptorSet) -> FileDescriptorSet {
    let index = Index::new(wanted);
    let symbols: BTreeSet<&String> = index
        .messages
        .keys()
        .chain(index.enums.keys())
        .chain(index.services.keys())
        .collect();
    let requests: Vec<_> = symbols
        .into_iter()
        .map(|symbol| ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::FileContainingSymbol(symbol.clone())),
        })
        .collect();
    let mut responses = ServerReflectionClient::new(channel)
        // One answer holds a file with all it imports.
        .max_decoding_message_size(64 << 20)
        .server_reflection_info(stream::iter(requests))
        .await
        .expect("the server has gRPC reflection")
        .into_inner();
    let mut files = BTreeMap::new();
    while let Some(response) = responses
        .message()
        .await
        .expect("the reflection stream holds")
    {
        match response.message_response {
            Some(MessageResponse::FileDescriptorResponse(answer)) => {
                for encoded in answer.file_descriptor_proto {
                    let file = FileDescriptorProto::decode(&encoded[..])
                        .expect("the server sends descriptors");
                    files.insert(file.name().to_owned(), file);
                }
            }
            // A symbol the server does not know is reported by the comparison, with its name.
            Some(MessageResponse::ErrorResponse(_)) => {}
            other => panic!("the server answered something else: {other:?}"),
        }
    }
    FileDescriptorSet {
        file: files.into_values().collect(),
    }
}

/// The first top-level message of this name.
fn message<'a>(set: &'a mut FileDescriptorSet, name: &str) -> &'a mut DescriptorProto {
    set.file
        .iter_mut()
        .flat_map(|file| &mut file.message_type)
        .find(|message| message.name() == name)
        .expect("the test names a message of proto/")
}

fn field<'a>(
    set: &'a mut FileDescriptorSet,
    message_name: &str,
    name: &str,
) -> &'a mut FieldDescriptorProto {
    message(set, message_name)
        .field
        .iter_mut()
        .find(|field| field.name() == name)
        .expect("the test names a field of proto/")
}

fn enumeration<'a>(set: &'a mut FileDescriptorSet, name: &str) -> &'a mut EnumDescriptorProto {
    set.file
        .iter_mut()
        .flat_map(|file| &mut file.enum_type)
        .find(|enumeration| enumeration.name() == name)
        .expect("the test names an enum of proto/")
}

fn service(set: &mut FileDescriptorSet) -> &mut ServiceDescriptorProto {
    set.file
        .iter_mut()
        .flat_map(|file| &mut file.service)
        .next()
        .expect("proto/ declares a service")
}
