//! Real Temporal servers: the one `scripts/test` shares between all tests, and servers of a
//! test's own that may be killed.
//!
//! Everything here is found through environment variables, so that nothing is downloaded or
//! started behind the back of somebody who only types `cargo test`.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Deref;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use temporal_manifest::client::api::temporal::api::workflowservice::v1::{
    DescribeNamespaceRequest, workflow_service_client::WorkflowServiceClient,
};
use tonic::transport::{Channel, Endpoint};

use super::{POLL_PAUSE, block_on};

/// `host:port` of a running dev server with a running test worker.
const ADDRESS: &str = "TEMPORAL_MANIFEST_TEST_ADDRESS";
/// Path of the `temporal` CLI.
const CLI: &str = "TEMPORAL_MANIFEST_TEST_CLI";
/// Path of a Python that has the Temporal SDK, for workers of a test's own.
const PYTHON: &str = "TEMPORAL_MANIFEST_TEST_PYTHON";
/// `1` makes a missing server an error instead of a reason to skip.
const REQUIRED: &str = "TEMPORAL_MANIFEST_TEST_REQUIRED";

/// Longest time a server or a worker may take to become ready or to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// Attempts to start a server. Another process can take the port between our looking for a free
/// one and the server's binding it.
const PORT_ATTEMPTS: usize = 5;

/// A server that answers, and the CLI to ask it independently of our own client.
#[derive(Debug, Clone)]
pub struct SharedServer {
    /// `host:port`.
    pub address: String,
    /// Path of the `temporal` CLI.
    pub cli: PathBuf,
}

/// The server `scripts/test` has started, or `None` with a loud word if there is none.
#[track_caller]
pub fn shared() -> Option<SharedServer> {
    Some(SharedServer {
        address: variable(ADDRESS)?,
        cli: variable(CLI)?.into(),
    })
}

/// A Python that has the Temporal SDK, or `None` with a loud word if there is none.
#[track_caller]
pub fn python() -> Option<PathBuf> {
    variable(PYTHON).map(PathBuf::from)
}

/// Reads a variable that says where a test finds a part of its surroundings.
#[track_caller]
fn variable(name: &str) -> Option<String> {
    let value = std::env::var(name).ok().filter(|value| !value.is_empty());
    if value.is_none() {
        let thread = std::thread::current();
        let test = thread.name().unwrap_or("a test").to_owned();
        let required = std::env::var(REQUIRED).is_ok_and(|value| value == "1");
        assert!(
            !required,
            "{test} needs {name}, and {REQUIRED}=1 forbids skipping"
        );
        // Not a print macro: the test harness would hide it, as the test passes.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED {test}: {name} is not set; scripts/test runs it against a real server"
        );
    }
    value
}

impl SharedServer {
    /// Runs the `temporal` CLI against this server, with nothing of this machine's configuration.
    pub fn temporal(&self, arguments: &[&str]) -> Output {
        let home = tempfile::tempdir().expect("a temporary folder can be made");
        Command::new(&self.cli)
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", home.path())
            .env("TEMPORAL_ADDRESS", &self.address)
            .stdin(Stdio::null())
            .output()
            .expect("the temporal CLI can be run")
    }

    /// Like [`Self::temporal`], but panics unless the CLI succeeds, and returns what it printed.
    #[track_caller]
    pub fn temporal_stdout(&self, arguments: &[&str]) -> String {
        let output = self.temporal(arguments);
        assert!(
            output.status.success(),
            "temporal {arguments:?}: {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("the CLI prints UTF-8")
    }

    /// A connection in the caller's runtime.
    pub async fn channel(&self) -> Channel {
        connect(&self.address).await.expect("the server answers")
    }

    /// The generated client, without anything of our own client around it.
    pub async fn client(&self) -> WorkflowServiceClient<Channel> {
        WorkflowServiceClient::new(self.channel().await)
    }

    /// Starts a test worker for this server, and waits until it polls.
    #[track_caller]
    pub fn start_worker(&self) -> Option<Worker> {
        let python = python()?;
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/worker/worker.py");
        let mut child = Command::new(python)
            .arg(script)
            .env("TEMPORAL_ADDRESS", &self.address)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the test worker can be started");
        let stdout = child.stdout.take().expect("stdout is piped");
        let worker = Worker { child };
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let line = lines
            .recv_timeout(PATIENCE)
            .expect("the worker reports before it ends");
        assert_eq!(line, "ready", "the worker's first word");
        Some(worker)
    }
}

/// A test worker of a test's own, stopped when it goes out of scope.
pub struct Worker {
    child: Child,
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A server of a test's own. It may be killed and restarted, and dies when it goes out of scope.
pub struct DevServer {
    server: SharedServer,
    port: u16,
    arguments: Vec<String>,
    child: Child,
    /// Holds the server's log.
    folder: TempDir,
}

impl Deref for DevServer {
    type Target = SharedServer;

    fn deref(&self) -> &SharedServer {
        &self.server
    }
}

impl DevServer {
    /// Starts a server on a free port and waits until it answers; `None`, with a loud word, if
    /// there is no CLI to start it with. State is in memory unless `--db-filename` is given.
    #[track_caller]
    pub fn start(arguments: &[&str]) -> Option<Self> {
        let cli = PathBuf::from(variable(CLI)?);
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut last_error = String::new();
        for _ in 0..PORT_ATTEMPTS {
            let port = free_port();
            let server = SharedServer {
                address: format!("127.0.0.1:{port}"),
                cli: cli.clone(),
            };
            match launch(&server, port, &arguments, &folder) {
                Ok(child) => {
                    return Some(Self {
                        server,
                        port,
                        arguments,
                        child,
                        folder,
                    });
                }
                Err(error) => last_error = error,
            }
        }
        panic!("no dev server after {PORT_ATTEMPTS} attempts: {last_error}");
    }

    /// Port of the frontend; a restart keeps it.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends the server at once, as a crash would.
    pub fn kill(&mut self) {
        // Fails only if the server has ended already.
        drop(self.child.kill());
        self.child.wait().expect("our own child can be waited for");
    }

    /// Asks the server to end, and waits until it has.
    pub fn stop(&mut self) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill")
            .args(["-TERM", &id])
            .status()
            .expect("kill is on PATH");
        assert!(sent.success(), "the server had ended already");
        let deadline = Instant::now() + PATIENCE;
        while self
            .child
            .try_wait()
            .expect("our own child can be waited for")
            .is_none()
        {
            assert!(
                Instant::now() < deadline,
                "the server did not stop within {PATIENCE:?}"
            );
            std::thread::sleep(POLL_PAUSE);
        }
    }

    /// Starts the server again on its port, with its arguments, and waits until it answers.
    pub fn restart(&mut self) {
        self.kill();
        self.child = launch(&self.server, self.port, &self.arguments, &self.folder)
            .expect("the server's own port is still free");
    }
}

impl Drop for DevServer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Starts a server and waits until it answers. On failure nothing is left running, and the error
/// holds the server's log.
fn launch(
    server: &SharedServer,
    port: u16,
    arguments: &[String],
    folder: &TempDir,
) -> Result<Child, String> {
    let log_path = folder.path().join("server.log");
    let log = File::create(&log_path).expect("files can be written in a temporary folder");
    let mut child = Command::new(&server.cli)
        .args([
            "server",
            "start-dev",
            "--headless",
            "--ip",
            "127.0.0.1",
            "--port",
        ])
        .arg(port.to_string())
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", folder.path())
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a file can be shared"))
        .stderr(log)
        .spawn()
        .map_err(|error| format!("{}: {error}", server.cli.display()))?;
    let deadline = Instant::now() + PATIENCE;
    let problem = loop {
        if let Some(status) = child.try_wait().expect("our own child can be waited for") {
            break format!("the server ended with {status}");
        }
        if block_on(answers(&server.address)) {
            return Ok(child);
        }
        if Instant::now() > deadline {
            break format!("the server did not answer within {PATIENCE:?}");
        }
        std::thread::sleep(POLL_PAUSE);
    };
    drop(child.kill());
    drop(child.wait());
    Err(format!(
        "{problem}\n{}",
        std::fs::read_to_string(log_path).unwrap_or_default()
    ))
}

/// Whether the server knows its default namespace, which is the last thing it sets up.
async fn answers(address: &str) -> bool {
    let Ok(channel) = connect(address).await else {
        return false;
    };
    let request = DescribeNamespaceRequest {
        namespace: "default".to_owned(),
        id: String::new(),
    };
    WorkflowServiceClient::new(channel)
        .describe_namespace(request)
        .await
        .is_ok()
}

async fn connect(address: &str) -> Result<Channel, tonic::transport::Error> {
    Endpoint::from_shared(format!("http://{address}"))?
        .connect_timeout(Duration::from_secs(5))
        .timeout(Duration::from_secs(30))
        .connect()
        .await
}

/// A port of the loopback interface that nobody listened on a moment ago.
fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .expect("the loopback interface has a free port")
        .port()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_killed_server_comes_back_with_its_data() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let database = folder.path().join("server.db");
        let database = database
            .to_str()
            .expect("temporary folders have plain names");
        let Some(mut server) = DevServer::start(&["--db-filename", database]) else {
            return;
        };
        let start = [
            "workflow", "start", "--type", "Any", "-t", "nobody", "-w", "kept",
        ];
        server.temporal_stdout(&start);
        server.kill();
        assert!(
            !server.temporal(&start).status.success(),
            "nobody answers after a kill"
        );
        server.restart();
        let described = server.temporal_stdout(&["workflow", "describe", "-w", "kept"]);
        assert!(described.contains("kept"), "{described}");
        server.stop();
    }
}
