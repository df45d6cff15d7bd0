//! A gRPC status with its details as a [`ServiceError`].
//!
//! Source of the codes and details: temporal `service/frontend/errors.go` and
//! `common/rpc/interceptor`, api-go `serviceerror/convert.go`.

use std::error::Error;

use prost::{Message, Name};
use tonic::codegen::http::StatusCode;
use tonic::{Code, Status};

use super::api::google::rpc;
use super::api::temporal::api::enums::v1::{ResourceExhaustedCause, ResourceExhaustedScope};
use super::api::temporal::api::errordetails::v1::{
    ClientVersionNotSupportedFailure, NamespaceInvalidStateFailure, NamespaceNotActiveFailure,
    NamespaceNotFoundFailure, ResourceExhaustedFailure, ServerVersionNotSupportedFailure,
    WorkflowExecutionAlreadyStartedFailure,
};
use super::call::NOT_IN_TIME;
use super::grpc_only::NotGrpc;
use crate::run::service::{
    ErrorClass, ExistingRun, GrpcCode, Reason, ServiceError, ThrottleCause, ThrottleScope,
};

/// What gRPC servers say, without any details, about a message over their size limit.
const TOO_LARGE_PREFIXES: [&str; 2] = [
    "grpc: received message larger than max",
    "grpc: received message after decompression larger than max",
];

/// What tonic says when the deadline of a call passes on our side.
const OWN_DEADLINE: &str = "Timeout expired";

/// Reads a status. One with a cause was made on the way, and the service has not said it.
pub(super) fn service_error(status: &Status) -> ServiceError {
    let error = |class, reason| ServiceError {
        class,
        code: grpc_code(status.code()),
        reason,
        message: words(status),
        cause: None,
        scope: None,
    };
    match status.source() {
        Some(_) if status.message() == OWN_DEADLINE => ServiceError {
            code: grpc_code(Code::DeadlineExceeded),
            message: NOT_IN_TIME.to_owned(),
            ..error(ErrorClass::Unanswered, Reason::DeadlineExceeded)
        },
        Some(source) => match source.downcast_ref::<NotGrpc>() {
            Some(NotGrpc::Http(http)) => {
                let (class, reason) = http_error(*http);
                error(class, reason)
            }
            Some(NotGrpc::CutOff) | None => ServiceError {
                code: grpc_code(Code::Unavailable),
                ..error(ErrorClass::Unanswered, Reason::ConnectionLost)
            },
        },
        None => answered(status, error),
    }
}

/// What an answer means that is HTTP and no gRPC: a proxy or a load balancer spoke for the service.
fn http_error(status: StatusCode) -> (ErrorClass, Reason) {
    match status.as_u16() {
        401 => (ErrorClass::Fatal, Reason::Unauthenticated),
        403 => (ErrorClass::Fatal, Reason::PermissionDenied),
        // Nobody there knows the service.
        404 => (ErrorClass::Fatal, Reason::NotGrpc),
        429 | 502 | 503 | 504 => (ErrorClass::Transient, Reason::Unavailable),
        _ => (ErrorClass::Transient, Reason::NotGrpc),
    }
}

/// Reads a status that the service has answered with.
fn answered(status: &Status, error: impl Fn(ErrorClass, Reason) -> ServiceError) -> ServiceError {
    let details = Details::of(status);
    match status.code() {
        Code::AlreadyExists => match details.get::<WorkflowExecutionAlreadyStartedFailure>() {
            Some(failure) => {
                let existing = ExistingRun {
                    request_id: failure.start_request_id,
                    run_id: failure.run_id,
                    first_run_id: failure.first_execution_run_id,
                    closed: closed_by_words(status.message()),
                };
                error(
                    ErrorClass::Existing(Box::new(existing)),
                    Reason::WorkflowExists,
                )
            }
            None => error(ErrorClass::Refused, Reason::AlreadyExists),
        },
        Code::NotFound if details.has::<NamespaceNotFoundFailure>() => {
            error(ErrorClass::Fatal, Reason::NamespaceNotFound)
        }
        Code::NotFound => error(ErrorClass::Refused, Reason::NotFound),
        Code::InvalidArgument => error(ErrorClass::Refused, Reason::InvalidArgument),
        Code::FailedPrecondition => match failed_precondition(&details) {
            Some(reason) => error(ErrorClass::Fatal, reason),
            None => error(ErrorClass::Refused, Reason::FailedPrecondition),
        },
        Code::ResourceExhausted => match details.get::<ResourceExhaustedFailure>() {
            None if TOO_LARGE_PREFIXES
                .iter()
                .any(|prefix| status.message().starts_with(prefix)) =>
            {
                error(ErrorClass::Refused, Reason::MessageTooLarge)
            }
            failure => ServiceError {
                cause: failure.as_ref().map(cause),
                scope: failure.as_ref().and_then(scope),
                ..error(ErrorClass::Throttled, Reason::Throttled)
            },
        },
        Code::PermissionDenied => error(ErrorClass::Fatal, Reason::PermissionDenied),
        Code::Unauthenticated => error(ErrorClass::Fatal, Reason::Unauthenticated),
        Code::Unimplemented => error(ErrorClass::Refused, Reason::Unimplemented),
        Code::DeadlineExceeded => error(ErrorClass::Unanswered, Reason::DeadlineExceeded),
        Code::Cancelled => error(ErrorClass::Unanswered, Reason::Cancelled),
        Code::Unavailable => error(ErrorClass::Transient, Reason::Unavailable),
        Code::Internal => error(ErrorClass::Transient, Reason::Internal),
        Code::Aborted => error(ErrorClass::Transient, Reason::Aborted),
        Code::Unknown => error(ErrorClass::Transient, Reason::Unknown),
        Code::DataLoss => error(ErrorClass::Transient, Reason::DataLoss),
        Code::OutOfRange => error(ErrorClass::Transient, Reason::OutOfRange),
        Code::Ok => error(ErrorClass::Transient, Reason::EmptyAnswer),
    }
}

/// What is so for all starts, if that is why one does not fit the state of the service.
fn failed_precondition(details: &Details) -> Option<Reason> {
    if details.has::<NamespaceInvalidStateFailure>() {
        Some(Reason::NamespaceInvalidState)
    } else if details.has::<NamespaceNotActiveFailure>() {
        Some(Reason::NamespaceNotActive)
    } else if details.has::<ClientVersionNotSupportedFailure>() {
        Some(Reason::ClientVersionNotSupported)
    } else if details.has::<ServerVersionNotSupportedFailure>() {
        Some(Reason::ServerVersionNotSupported)
    } else {
        None
    }
}

/// An answer that says nothing, or is another message's.
pub(super) fn empty_answer() -> ServiceError {
    ServiceError {
        class: ErrorClass::Unanswered,
        code: grpc_code(Code::Ok),
        reason: Reason::EmptyAnswer,
        message: "the service's answer describes no run".to_owned(),
        cause: None,
        scope: None,
    }
}

/// The service's words; for a transport error what happened underneath.
fn words(status: &Status) -> String {
    let mut words = status.message().to_owned();
    let mut source = status.source();
    while let Some(error) = source {
        let text = error.to_string();
        if !words.contains(&text) {
            if !words.is_empty() {
                words.push_str(": ");
            }
            words.push_str(&text);
        }
        source = error.source();
    }
    words
}

/// Whether the run in the way is closed. The details do not say; the message does:
/// "Workflow execution is already running" or "already finished successfully".
fn closed_by_words(message: &str) -> Option<bool> {
    let says = |word| message.contains(word);
    match (
        says("already running") || says("is running"),
        says("finished"),
    ) {
        (true, false) => Some(false),
        (false, true) => Some(true),
        _ => None,
    }
}

/// The details of a status.
struct Details(Vec<prost_types::Any>);

impl Details {
    fn of(status: &Status) -> Self {
        Details(
            rpc::Status::decode(status.details())
                .map(|status| status.details)
                .unwrap_or_default(),
        )
    }

    fn get<D: Message + Name + Default>(&self) -> Option<D> {
        self.0.iter().find_map(|any| any.to_msg::<D>().ok())
    }

    fn has<D: Message + Name + Default>(&self) -> bool {
        self.get::<D>().is_some()
    }
}

fn cause(failure: &ResourceExhaustedFailure) -> ThrottleCause {
    use ResourceExhaustedCause as Cause;
    let Ok(cause) = Cause::try_from(failure.cause) else {
        return ThrottleCause::Unknown;
    };
    match cause {
        Cause::Unspecified => ThrottleCause::Unspecified,
        Cause::RpsLimit => ThrottleCause::RpsLimit,
        Cause::ConcurrentLimit => ThrottleCause::ConcurrentLimit,
        Cause::SystemOverloaded => ThrottleCause::SystemOverloaded,
        Cause::PersistenceLimit => ThrottleCause::PersistenceLimit,
        Cause::BusyWorkflow => ThrottleCause::BusyWorkflow,
        Cause::ApsLimit => ThrottleCause::ApsLimit,
        Cause::PersistenceStorageLimit => ThrottleCause::PersistenceStorageLimit,
        Cause::CircuitBreakerOpen => ThrottleCause::CircuitBreakerOpen,
        Cause::OpsLimit => ThrottleCause::OpsLimit,
        Cause::WorkerDeploymentLimits => ThrottleCause::WorkerDeploymentLimits,
    }
}

fn scope(failure: &ResourceExhaustedFailure) -> Option<ThrottleScope> {
    match ResourceExhaustedScope::try_from(failure.scope) {
        Ok(ResourceExhaustedScope::Namespace) => Some(ThrottleScope::Namespace),
        Ok(ResourceExhaustedScope::System) => Some(ThrottleScope::System),
        _ => None,
    }
}

fn grpc_code(code: Code) -> GrpcCode {
    match code {
        Code::Ok => GrpcCode::Ok,
        Code::Cancelled => GrpcCode::Cancelled,
        Code::Unknown => GrpcCode::Unknown,
        Code::InvalidArgument => GrpcCode::InvalidArgument,
        Code::DeadlineExceeded => GrpcCode::DeadlineExceeded,
        Code::NotFound => GrpcCode::NotFound,
        Code::AlreadyExists => GrpcCode::AlreadyExists,
        Code::PermissionDenied => GrpcCode::PermissionDenied,
        Code::ResourceExhausted => GrpcCode::ResourceExhausted,
        Code::FailedPrecondition => GrpcCode::FailedPrecondition,
        Code::Aborted => GrpcCode::Aborted,
        Code::OutOfRange => GrpcCode::OutOfRange,
        Code::Unimplemented => GrpcCode::Unimplemented,
        Code::Internal => GrpcCode::Internal,
        Code::Unavailable => GrpcCode::Unavailable,
        Code::DataLoss => GrpcCode::DataLoss,
        Code::Unauthenticated => GrpcCode::Unauthenticated,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(status: u16) -> Status {
        NotGrpc::Http(StatusCode::from_u16(status).expect("a status")).into()
    }

    fn with_cause(code: Code) -> Status {
        let mut status = Status::new(code, "h2 protocol error");
        status.set_source(std::sync::Arc::new(std::io::Error::other("reset")));
        status
    }

    #[test]
    fn what_the_service_has_not_said_is_told_apart() {
        let unanswered = |code| {
            (
                with_cause(code),
                GrpcCode::Unavailable,
                Reason::ConnectionLost,
            )
        };
        let table = [
            (
                http(200),
                GrpcCode::Unknown,
                Reason::NotGrpc,
                ErrorClass::Transient,
            ),
            (
                http(301),
                GrpcCode::Unknown,
                Reason::NotGrpc,
                ErrorClass::Transient,
            ),
            (
                http(400),
                GrpcCode::Internal,
                Reason::NotGrpc,
                ErrorClass::Transient,
            ),
            (
                http(401),
                GrpcCode::Unauthenticated,
                Reason::Unauthenticated,
                ErrorClass::Fatal,
            ),
            (
                http(403),
                GrpcCode::PermissionDenied,
                Reason::PermissionDenied,
                ErrorClass::Fatal,
            ),
            (
                http(404),
                GrpcCode::Unimplemented,
                Reason::NotGrpc,
                ErrorClass::Fatal,
            ),
            (
                http(429),
                GrpcCode::Unavailable,
                Reason::Unavailable,
                ErrorClass::Transient,
            ),
            (
                http(500),
                GrpcCode::Unknown,
                Reason::NotGrpc,
                ErrorClass::Transient,
            ),
            (
                http(502),
                GrpcCode::Unavailable,
                Reason::Unavailable,
                ErrorClass::Transient,
            ),
            (
                http(503),
                GrpcCode::Unavailable,
                Reason::Unavailable,
                ErrorClass::Transient,
            ),
            (
                http(504),
                GrpcCode::Unavailable,
                Reason::Unavailable,
                ErrorClass::Transient,
            ),
        ];
        let causes = [
            Code::Internal,
            Code::Unknown,
            Code::Unavailable,
            Code::Cancelled,
            Code::ResourceExhausted,
            Code::PermissionDenied,
        ];
        let lost = (causes.into_iter().map(unanswered))
            .chain([(
                NotGrpc::CutOff.into(),
                GrpcCode::Unavailable,
                Reason::ConnectionLost,
            )])
            .map(|(status, code, reason)| (status, code, reason, ErrorClass::Unanswered));
        for (status, code, reason, class) in table.into_iter().chain(lost) {
            let error = service_error(&status);
            assert_eq!((error.code, error.reason), (code, reason), "{status}");
            assert_eq!(error.class, class, "{status}");
        }
        let error = service_error(&Status::internal("a bug"));
        assert_eq!(
            (error.reason, error.class),
            (Reason::Internal, ErrorClass::Transient)
        );
        let words = service_error(&http(503)).message;
        assert_eq!(
            words,
            "HTTP 503 Service Unavailable instead of a gRPC answer"
        );
    }
}
