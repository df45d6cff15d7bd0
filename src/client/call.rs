//! One call: its metadata, its deadline and its encoding.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use futures::future::BoxFuture;
use prost::Message;
use tonic::client::Grpc;
use tonic::codec::{BufferSettings, Codec};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::MetadataMap;
use tonic::transport::Channel;
use tonic::{Code, Extensions, Request, Status};
use tonic_prost::{ProstCodec, ProstDecoder, ProstEncoder};

use super::grpc_only::GrpcOnly;

/// Longest wait for the answer to one call. On expiry the outcome is unknown, and the call is
/// repeated with the same request ID. Source: sdk-go `internal_utils.go`, the default RPC timeout.
pub const RPC_TIMEOUT: Duration = Duration::from_secs(10);

/// Largest answer that is read. The service's own limit for what a Workflow returns is 2 MiB.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// Whether a call failed because its answer is larger than we read. tonic finds that out from the
/// answer's first bytes, and has no other sign for it.
pub(super) fn is_too_large(status: &Status) -> bool {
    status.code() == Code::OutOfRange && status.message().contains("message length too large")
}

/// Bytes that a request and an answer are given at first; most need no more. tonic's default is
/// 8 KiB, which the allocator takes much longer to find.
const BUFFER: usize = 512;

/// Unit in which HTTP/2 takes a request that is larger.
const YIELD_AT: usize = 32 * 1024;

/// What is said when a deadline of ours has passed.
pub(super) const NOT_IN_TIME: &str = "the service did not answer in time";

/// The full name of one of the service's methods.
macro_rules! method {
    ($name:literal) => {
        concat!("/temporal.api.workflowservice.v1.WorkflowService/", $name)
    };
}
pub(super) use method;

/// Makes the calls of a connection. The generated client would do, but it carries each message by
/// value through five futures: a start's was 14 KiB, copied three times before the first poll.
#[derive(Clone)]
pub(super) struct Caller {
    grpc: Grpc<GrpcOnly>,
    metadata: MetadataMap,
}

/// Metadata is secret, or may be.
impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").finish_non_exhaustive()
    }
}

impl Caller {
    /// Calls with this metadata.
    pub(super) fn new(channel: Channel, metadata: MetadataMap) -> Self {
        // Most calls have the same deadline, so that it is written once.
        let mut request = Request::from_parts(metadata, Extensions::default(), ());
        request.set_timeout(RPC_TIMEOUT);
        Caller {
            grpc: Grpc::new(GrpcOnly::new(channel)).max_decoding_message_size(MAX_ANSWER_BYTES),
            metadata: request.into_parts().0,
        }
    }

    /// Calls a method, by its full name. The answer must be there, whole, within `timeout`: tonic's
    /// own deadline is over when an answer begins.
    pub(super) fn call<M, A>(
        &self,
        method: &'static str,
        message: M,
        timeout: Duration,
    ) -> BoxFuture<'static, Result<A, Status>>
    where
        M: Message + 'static,
        A: Message + Default + 'static,
    {
        let mut grpc = self.grpc.clone();
        let metadata = self.metadata.clone();
        let mut request = Request::from_parts(metadata, Extensions::default(), Box::new(message));
        if timeout != RPC_TIMEOUT {
            request.set_timeout(timeout);
        }
        Box::pin(async move {
            let call = async {
                let ready = grpc.ready().await;
                ready.map_err(|error| {
                    Status::unknown(format!("the call cannot be sent: {error}"))
                })?;
                let path = PathAndQuery::from_static(method);
                let answer = grpc.unary(request, path, Small::new()).await;
                answer.map(tonic::Response::into_inner)
            };
            let in_time = tokio::time::timeout(timeout, call).await;
            in_time.unwrap_or_else(|_| Err(Status::deadline_exceeded(NOT_IN_TIME)))
        })
    }
}

/// The protobuf encoding, with buffers of a size that fits most messages.
struct Small<M, A>(PhantomData<(M, A)>);

impl<M, A> Small<M, A> {
    fn new() -> Self {
        Small(PhantomData)
    }
}

impl<M, A> Codec for Small<M, A>
where
    M: Message + 'static,
    A: Message + Default + 'static,
{
    type Encode = M;
    type Decode = A;
    type Encoder = ProstEncoder<M>;
    type Decoder = ProstDecoder<A>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<M, A>::raw_encoder(BufferSettings::new(BUFFER, YIELD_AT))
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<M, A>::raw_decoder(BufferSettings::new(BUFFER, YIELD_AT))
    }
}
