//! A network that takes its time: passes everything on to a server, later.

use std::net::{Ipv4Addr, SocketAddr};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// Chunks that may be on their way in one direction of a connection.
const ON_THEIR_WAY: usize = 1024;

/// A proxy that adds the same delay to everything. Stops when it goes out of scope.
pub struct SlowProxy {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl SlowProxy {
    /// Adds `round_trip` to every round trip to the server at `target`.
    pub fn start(target: &str, round_trip: Duration) -> Self {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .expect("the loopback interface has a free port");
        listener
            .set_nonblocking(true)
            .expect("a socket can be made non-blocking");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let (stop, stopped) = oneshot::channel();
        let target = target.to_owned();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a small runtime can be built");
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("the socket is non-blocking");
                tokio::select! {
                    () = accept(listener, target, round_trip / 2) => {}
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        });
        SlowProxy {
            address,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// `host:port`, as the flag `--address` takes it.
    pub fn address(&self) -> String {
        self.address.to_string()
    }
}

impl Drop for SlowProxy {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // Fails only if it has ended already.
            let _ = stop.send(());
        }
        drop(self.thread.take().map(JoinHandle::join));
    }
}

async fn accept(listener: TcpListener, target: String, delay: Duration) {
    while let Ok((client, _)) = listener.accept().await {
        let target = target.clone();
        tokio::spawn(async move {
            let server = TcpStream::connect(target).await?;
            client.set_nodelay(true)?;
            server.set_nodelay(true)?;
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            tokio::spawn(pass(from_client, to_server, delay));
            pass(from_server, to_client, delay).await;
            Ok::<_, std::io::Error>(())
        });
    }
}

/// Passes everything on in order, each piece `delay` after it came.
async fn pass(
    mut from: impl AsyncReadExt + Unpin + Send + 'static,
    mut to: impl AsyncWriteExt + Unpin + Send + 'static,
    delay: Duration,
) {
    let (sender, mut pieces) = mpsc::channel::<(Instant, Vec<u8>)>(ON_THEIR_WAY);
    tokio::spawn(async move {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            let piece = (Instant::now() + delay, buffer[..length].to_vec());
            if sender.send(piece).await.is_err() {
                break;
            }
        }
    });
    while let Some((due, piece)) = pieces.recv().await {
        tokio::time::sleep_until(due).await;
        if to.write_all(&piece).await.is_err() {
            break;
        }
    }
}
