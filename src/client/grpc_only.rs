//! Keeps from tonic what is no gRPC: error pages of proxies, answers without an end, details that
//! are no base64.
//!
//! tonic reads every answer as gRPC. It takes the first bytes of an error page for those of a
//! message, calls a cut-off answer an error of the service, and panics at malformed details.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use futures::FutureExt;
use futures::future::Map;
use http_body::{Frame, SizeHint};
use tonic::body::Body;
use tonic::codegen::http::header::CONTENT_TYPE;
use tonic::codegen::http::{HeaderMap, Request, Response, StatusCode};
use tonic::codegen::{Service, StdError};
use tonic::transport::Channel;
use tonic::{Code, Status};

/// How tonic reads the details of a status, which it expects to be readable.
const DETAILS: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What an answer is instead of gRPC. The source of a [`Status`] whose code is the one that gRPC
/// prescribes. Source: grpc `doc/http-grpc-status-mapping.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotGrpc {
    /// An answer of HTTP, with its status.
    Http(StatusCode),
    /// gRPC, but it ends before it says how the call went.
    CutOff,
}

impl fmt::Display for NotGrpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotGrpc::Http(status) => write!(f, "HTTP {status} instead of a gRPC answer"),
            NotGrpc::CutOff => f.write_str("the answer ends in the middle"),
        }
    }
}

impl Error for NotGrpc {}

impl From<NotGrpc> for Status {
    fn from(not_grpc: NotGrpc) -> Self {
        let code = match not_grpc {
            NotGrpc::CutOff => Code::Unavailable,
            NotGrpc::Http(status) => match status.as_u16() {
                400 => Code::Internal,
                401 => Code::Unauthenticated,
                403 => Code::PermissionDenied,
                404 => Code::Unimplemented,
                429 | 502 | 503 | 504 => Code::Unavailable,
                _ => Code::Unknown,
            },
        };
        let mut status = Status::new(code, not_grpc.to_string());
        status.set_source(Arc::new(not_grpc));
        status
    }
}

/// A channel whose answers are gRPC or an error.
#[derive(Clone)]
pub(super) struct GrpcOnly(Channel);

impl GrpcOnly {
    /// Looks at what comes out of `channel`.
    pub(super) fn new(channel: Channel) -> Self {
        GrpcOnly(channel)
    }
}

type RawAnswer<E> = Result<Response<Body>, E>;
type GrpcAnswer = Result<Response<GrpcBody>, StdError>;

impl Service<Request<Body>> for GrpcOnly {
    type Response = Response<GrpcBody>;
    type Error = StdError;
    type Future = Map<
        <Channel as Service<Request<Body>>>::Future,
        fn(RawAnswer<tonic::transport::Error>) -> GrpcAnswer,
    >;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), StdError>> {
        self.0.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.0.call(request).map(check)
    }
}

/// Lets an answer through if it is gRPC.
fn check(answered: RawAnswer<tonic::transport::Error>) -> GrpcAnswer {
    let mut answer = answered?;
    let has_status = answer.headers().contains_key(Status::GRPC_STATUS);
    if !has_status && !is_grpc(answer.status(), answer.headers()) {
        return Err(Box::new(Status::from(NotGrpc::Http(answer.status()))));
    }
    drop_malformed_details(answer.headers_mut());
    Ok(answer.map(|body| GrpcBody { body, has_status }))
}

/// Whether the head of an answer without a status promises gRPC. One without any type may be.
fn is_grpc(status: StatusCode, headers: &HeaderMap) -> bool {
    let is_right = |value: &[u8]| {
        let rest = value.strip_prefix(b"application/grpc");
        rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
    };
    let content_type = headers.get(CONTENT_TYPE);
    status == StatusCode::OK && content_type.is_none_or(|value| is_right(value.as_bytes()))
}

/// Without details a status still has its code and its words.
fn drop_malformed_details(headers: &mut HeaderMap) {
    let details = headers.get(Status::GRPC_STATUS_DETAILS);
    if details.is_some_and(|details| DETAILS.decode(details).is_err()) {
        headers.remove(Status::GRPC_STATUS_DETAILS);
    }
}

/// The body of an answer, which does not end well without a status.
pub(super) struct GrpcBody {
    body: Body,
    has_status: bool,
}

impl http_body::Body for GrpcBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        polled.map(|frame| match frame {
            Some(Ok(mut frame)) => {
                if let Some(trailers) = frame.trailers_mut() {
                    self.has_status |= trailers.contains_key(Status::GRPC_STATUS);
                    drop_malformed_details(trailers);
                }
                Some(Ok(frame))
            }
            None if !self.has_status => {
                // It is said once.
                self.has_status = true;
                Some(Err(NotGrpc::CutOff.into()))
            }
            other => other,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.has_status && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_grpc_is_taken_for_grpc() {
        let table = [
            (200, Some("application/grpc"), true),
            (200, Some("application/grpc+proto"), true),
            (200, Some("application/grpc;charset=utf-8"), true),
            (200, None, true),
            (200, Some("application/grpc-web"), false),
            (200, Some("text/html"), false),
            (503, Some("application/grpc"), false),
            (503, None, false),
        ];
        for (status, content_type, expected) in table {
            let mut headers = HeaderMap::new();
            if let Some(content_type) = content_type {
                headers.insert(CONTENT_TYPE, content_type.parse().expect("it is ASCII"));
            }
            let status = StatusCode::from_u16(status).expect("a status");
            assert_eq!(
                is_grpc(status, &headers),
                expected,
                "{status} {content_type:?}"
            );
        }
    }

    #[test]
    fn details_are_kept_if_they_can_be_read() {
        for (details, kept) in [("CAE", true), ("CAE=", true), ("no base64!", false)] {
            let mut headers = HeaderMap::new();
            headers.insert(
                Status::GRPC_STATUS_DETAILS,
                details.parse().expect("it is ASCII"),
            );
            drop_malformed_details(&mut headers);
            assert_eq!(headers.len(), usize::from(kept), "{details}");
        }
    }
}
