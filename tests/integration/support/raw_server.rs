//! An HTTP/2 server that answers as no gRPC server does: what proxies and broken servers send.

use std::collections::HashMap;
use std::future::poll_fn;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use h2::server::SendResponse;
use h2::{Reason, SendStream};
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use tonic::codegen::http::{HeaderMap, Response};

use super::fake_frontend;

/// What a call is answered with.
#[derive(Clone, Debug)]
pub enum Reply {
    /// A gRPC message, as it should be.
    Message(Vec<u8>),
    /// An HTTP answer of something that speaks no gRPC.
    Http(u16, &'static str),
    /// The headers of a gRPC answer, and nothing more.
    Silence,
    /// The headers of a gRPC answer, and then a byte of it now and then.
    Trickle(Duration),
    /// A whole message without a status after it.
    NoStatus(Vec<u8>),
    /// The first bytes of a message, and the end.
    CutOff(Vec<u8>),
    /// An error that may pass, with details that are no base64.
    BadDetails,
    /// The stream is reset before any answer.
    Reset(Reason),
    /// The stream is reset after the headers of an answer.
    ResetLate(Reason),
    /// This connection and those of the next while are sent away with `NO_ERROR`, and nothing that
    /// they ask is answered.
    GoAway(Duration),
}

/// Decides by the method's name and the number of the call among those for it, from 0.
type Script = Arc<dyn Fn(&str, usize) -> Reply + Send + Sync>;

/// A running server. Stops when it goes out of scope.
pub struct RawServer {
    address: SocketAddr,
    calls: Arc<Mutex<HashMap<String, usize>>>,
    _stop: oneshot::Sender<()>,
}

impl RawServer {
    /// A server that follows this script.
    pub fn start(script: impl Fn(&str, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        listener
            .set_nonblocking(true)
            .expect("a socket can be made non-blocking");
        let address = listener.local_addr().expect("it is bound");
        let calls = Arc::new(Mutex::new(HashMap::new()));
        let (stop, stopped) = oneshot::channel();
        let service = Service {
            script: Arc::new(script),
            calls: Arc::clone(&calls),
            sends_away_until: Arc::default(),
        };
        std::thread::spawn(move || serve(listener, service, stopped));
        Self {
            address,
            calls,
            _stop: stop,
        }
    }

    /// A server whose starts follow this script, and which is healthy otherwise.
    pub fn for_starts(script: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Self {
        Self::start(move |method, number| match method {
            "StartWorkflowExecution" => script(number),
            other => healthy(other),
        })
    }

    /// `host:port`, as the flag `--address` takes it.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Calls of a method so far.
    pub fn calls(&self, method: &str) -> usize {
        let calls = lock(&self.calls);
        calls.get(method).copied().unwrap_or_default()
    }
}

/// What a healthy server answers.
pub fn healthy(method: &str) -> Reply {
    Reply::Message(match method {
        "GetSystemInfo" => fake_frontend::system_info().encode_to_vec(),
        "DescribeNamespace" => fake_frontend::registered("default".to_owned()).encode_to_vec(),
        "StartWorkflowExecution" => fake_frontend::started().encode_to_vec(),
        _ => Vec::new(),
    })
}

#[derive(Clone)]
struct Service {
    script: Script,
    calls: Arc<Mutex<HashMap<String, usize>>>,
    sends_away_until: Arc<Mutex<Option<Instant>>>,
}

impl Service {
    fn sends_away(&self) -> bool {
        let until = *lock(&self.sends_away_until);
        until.is_some_and(|until| Instant::now() < until)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no holder of the lock panics")
}

/// Empty settings, and a GOAWAY that has seen no stream and no error. Source: RFC 9113, section 6.
const SENT_AWAY: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0";

fn serve(listener: TcpListener, service: Service, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a small runtime can be built");
    runtime.block_on(async move {
        let listener = tokio::net::TcpListener::from_std(listener)
            .expect("the listener is a non-blocking socket");
        let accepting = async {
            loop {
                let (stream, _) = listener.accept().await.expect("a client can be accepted");
                tokio::spawn(converse(stream, service.clone()));
            }
        };
        tokio::select! {
            () = accepting => {}
            _ = stopped => {}
        }
    });
    runtime.shutdown_background();
}

/// Answers what comes on a connection. Errors are those of a client that has gone.
async fn converse(mut stream: tokio::net::TcpStream, service: Service) -> Result<(), h2::Error> {
    if service.sends_away() {
        // The client closes when it has read this.
        let mut heard = [0; 1024];
        let sent = stream.write_all(SENT_AWAY).await;
        while sent.is_ok() && matches!(stream.read(&mut heard).await, Ok(1..)) {}
        return Ok(());
    }
    let mut connection = h2::server::handshake(stream).await?;
    while let Some(request) = connection.accept().await {
        let (request, respond) = request?;
        let path = request.uri().path();
        let method = path.rsplit('/').next().unwrap_or_default().to_owned();
        let number = {
            let mut calls = lock(&service.calls);
            let calls = calls.entry(method.clone()).or_default();
            *calls += 1;
            *calls - 1
        };
        let reply = (service.script)(&method, number);
        if let Reply::GoAway(so_long) = reply {
            *lock(&service.sends_away_until) = Some(Instant::now() + so_long);
            connection.abrupt_shutdown(Reason::NO_ERROR);
            continue;
        }
        tokio::spawn(async move {
            let (_, mut body) = request.into_parts();
            while let Some(Ok(_)) = body.data().await {}
            answer(respond, reply).await
        });
    }
    Ok(())
}

async fn answer(mut respond: SendResponse<Bytes>, reply: Reply) -> Result<(), h2::Error> {
    let head = |status: u16, content_type: &str| {
        let head = Response::builder().status(status);
        let head = head.header("content-type", content_type);
        head.body(()).expect("the parts are right")
    };
    let grpc = || head(200, "application/grpc");
    match reply {
        Reply::Message(message) => {
            let mut stream = respond.send_response(grpc(), false)?;
            stream.send_data(framed(&message), false)?;
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", "0".parse().expect("it is ASCII"));
            stream.send_trailers(trailers)?;
        }
        Reply::Http(status, content_type) => {
            let mut stream = respond.send_response(head(status, content_type), false)?;
            let page = Bytes::from_static(b"<html>\x1b[31m an error page\n</html>");
            stream.send_data(page, true)?;
        }
        Reply::Silence => {
            let stream = respond.send_response(grpc(), false)?;
            wait_for_the_end(stream).await;
        }
        Reply::Trickle(pause) => {
            let mut stream = respond.send_response(grpc(), false)?;
            for byte in framed(&[0; 1000]).chunks(1) {
                stream.send_data(Bytes::copy_from_slice(byte), false)?;
                tokio::time::sleep(pause).await;
            }
        }
        Reply::NoStatus(message) => {
            let mut stream = respond.send_response(grpc(), false)?;
            stream.send_data(framed(&message), true)?;
        }
        Reply::CutOff(message) => {
            let mut stream = respond.send_response(grpc(), false)?;
            let mut message = framed(&message);
            stream.send_data(message.split_to(message.len() / 2), true)?;
        }
        Reply::BadDetails => {
            let mut stream = respond.send_response(grpc(), false)?;
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", "14".parse().expect("it is ASCII"));
            let details = "no base64!".parse().expect("it is ASCII");
            trailers.insert("grpc-status-details-bin", details);
            stream.send_trailers(trailers)?;
        }
        Reply::Reset(reason) => respond.send_reset(reason),
        Reply::ResetLate(reason) => {
            let mut stream = respond.send_response(grpc(), false)?;
            stream.send_reset(reason);
        }
        Reply::GoAway(_) => unreachable!("the connection does this"),
    }
    Ok(())
}

/// Keeps a stream open until the client gives up on it.
async fn wait_for_the_end(mut stream: SendStream<Bytes>) {
    // Whatever the client resets it with, it is over.
    drop(poll_fn(|context| stream.poll_reset(context)).await);
}

/// A message as gRPC frames it.
fn framed(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).expect("test messages are small"));
    frame.put_slice(message);
    frame.freeze()
}
