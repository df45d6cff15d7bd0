//! Runs the compiled `temporal-manifest` as a user would, but with nothing of this machine's
//! configuration in its environment.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// Longest time one run may take. Far above any honest run, so that only a hang meets it.
const TIME_LIMIT: Duration = Duration::from_secs(120);

/// One call of the program, before it is made.
pub struct Binary {
    command: Command,
    home: TempDir,
    stdin: Option<Vec<u8>>,
    stdout: Option<PathBuf>,
    time_limit: Duration,
}

/// What is left of a call when it has ended.
#[derive(Debug)]
pub struct Finished {
    /// Exit code; `None` if a signal ended the program.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// A call under way.
pub struct Running {
    child: Child,
    output: mpsc::Receiver<(Stream, Vec<u8>)>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    deadline: Instant,
    /// Removed only after the program has ended.
    _home: TempDir,
}

#[derive(Clone, Copy)]
enum Stream {
    Stdout,
    Stderr,
}

impl Binary {
    /// The program with these arguments, an empty home and only `PATH` in its environment.
    pub fn new<I, S>(arguments: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let home = tempfile::tempdir().expect("a temporary folder can be made");
        let mut command = Command::new(env!("CARGO_BIN_EXE_temporal-manifest"));
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", home.path())
            .current_dir(home.path());
        Self {
            command,
            home,
            stdin: None,
            stdout: None,
            time_limit: TIME_LIMIT,
        }
    }

    /// `apply` of a manifest to the service at `address`, with whatever else is asked for.
    pub fn apply(manifest: impl AsRef<OsStr>, address: &str, more: &[&str]) -> Self {
        let binary = Self::new(["apply".as_ref(), manifest.as_ref()])
            .arg("--address")
            .arg(address);
        more.iter()
            .fold(binary, |binary, argument| binary.arg(argument))
    }

    /// Adds one more argument.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds more arguments.
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs in this folder instead of the empty home.
    pub fn current_dir(mut self, folder: impl AsRef<Path>) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Gives the program something to read; without it, standard input is empty.
    pub fn stdin(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(text.into());
        self
    }

    /// Sends standard output to this file, for outputs that are too large to keep.
    pub fn stdout_to(mut self, file: &Path) -> Self {
        self.stdout = Some(file.to_owned());
        self
    }

    /// Runs the program through another one, such as `prlimit`.
    pub fn under(mut self, words: &[&str]) -> Self {
        let mut command = Command::new(words[0]);
        command
            .args(&words[1..])
            .arg(self.command.get_program())
            .args(self.command.get_args())
            .env_clear()
            .envs(
                self.command
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            );
        if let Some(folder) = self.command.get_current_dir() {
            command.current_dir(folder);
        }
        self.command = command;
        self
    }

    /// Replaces the time limit of two minutes.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// Runs the program to its end.
    pub fn run(self) -> Finished {
        self.spawn().finish()
    }

    /// Starts the program, for tests that interrupt it.
    pub fn spawn(mut self) -> Running {
        let stdin = if self.stdin.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        };
        let stdout = self.stdout.as_ref().map_or_else(Stdio::piped, |file| {
            let file =
                std::fs::File::create(file).expect("files can be written in a temporary folder");
            file.into()
        });
        let mut child = self
            .command
            .stdin(stdin)
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program under test was built");
        if let (Some(text), Some(mut pipe)) = (self.stdin, child.stdin.take()) {
            // A program that fails early closes the pipe, which is its good right.
            std::thread::spawn(move || drop(pipe.write_all(&text)));
        }
        let (sender, output) = mpsc::channel();
        if let Some(stdout) = child.stdout.take() {
            forward(stdout, Stream::Stdout, sender.clone());
        }
        let stderr = child.stderr.take().expect("stderr is piped");
        forward(stderr, Stream::Stderr, sender);
        Running {
            child,
            output,
            stdout: Vec::new(),
            stderr: Vec::new(),
            deadline: Instant::now() + self.time_limit,
            _home: self.home,
        }
    }
}

/// Sends what can be read from `pipe` to `sender` until the pipe is closed.
fn forward(
    mut pipe: impl Read + Send + 'static,
    stream: Stream,
    sender: mpsc::Sender<(Stream, Vec<u8>)>,
) {
    std::thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(length @ 1..) = pipe.read(&mut buffer) {
            if sender.send((stream, buffer[..length].to_vec())).is_err() {
                break;
            }
        }
    });
}

impl Running {
    /// Process ID.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until standard error contains `text`, and panics if the program ends without it.
    pub fn wait_for_stderr(&mut self, text: &str) {
        while !String::from_utf8_lossy(&self.stderr).contains(text) {
            assert!(
                self.receive(),
                "the program ended without printing {text:?}; stderr:\n{}",
                String::from_utf8_lossy(&self.stderr)
            );
        }
    }

    /// Waits until standard output contains `text`, and panics if the program ends without it.
    pub fn wait_for_stdout(&mut self, text: &str) {
        while !String::from_utf8_lossy(&self.stdout).contains(text) {
            assert!(
                self.receive(),
                "the program ended without printing {text:?}; stderr:\n{}",
                String::from_utf8_lossy(&self.stderr)
            );
        }
    }

    /// Waits until standard output has this many lines, or the program has ended.
    pub fn wait_for_lines(&mut self, count: usize) {
        let lines = |stdout: &[u8]| stdout.iter().filter(|byte| **byte == b'\n').count();
        while lines(&self.stdout) < count && self.receive() {}
    }

    /// Waits for the end of the program. Also returns the most memory that it had resident, in KiB,
    /// as Linux counts it.
    pub fn finish_with_memory(mut self) -> (Finished, Option<u64>) {
        let mut most = None;
        while self.is_running() {
            most = most.max(self.memory());
            std::thread::sleep(Duration::from_millis(10));
            assert!(Instant::now() < self.deadline, "the program does not end");
        }
        (self.finish(), most)
    }

    fn memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
        line.split_whitespace().nth(1)?.parse().ok()
    }

    /// Whether the program is still at work.
    pub fn is_running(&mut self) -> bool {
        let ended = self.child.try_wait();
        ended.expect("our own child can be waited for").is_none()
    }

    /// Waits until a line of standard output contains all of these, and panics if the program ends
    /// without one.
    pub fn wait_for_line(&mut self, parts: &[&str]) {
        let is_there = |stdout: &[u8]| {
            String::from_utf8_lossy(stdout)
                .lines()
                .any(|line| parts.iter().all(|part| line.contains(part)))
        };
        while !is_there(&self.stdout) {
            assert!(
                self.receive(),
                "the program ended without a line with {parts:?}; stdout:\n{}\nstderr:\n{}",
                String::from_utf8_lossy(&self.stdout),
                String::from_utf8_lossy(&self.stderr)
            );
        }
    }

    /// Sends a signal by its short name, such as `INT` or `TERM`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([format!("-{name}"), self.child.id().to_string()])
            .status()
            .expect("kill is on PATH");
        assert!(sent.success(), "signal {name} could not be sent");
    }

    /// Sends a signal again and again until the program has ended, as an impatient user does.
    pub fn signal_until_it_ends(mut self, name: &str) -> Finished {
        let pause = Duration::from_millis(100);
        while self
            .child
            .try_wait()
            .expect("our own child can be waited for")
            .is_none()
        {
            self.signal(name);
            // Its output closes when it ends; until then this is the pause between two signals.
            if let Ok((stream, piece)) = self.output.recv_timeout(pause) {
                match stream {
                    Stream::Stdout => self.stdout.extend(piece),
                    Stream::Stderr => self.stderr.extend(piece),
                }
            }
            assert!(Instant::now() < self.deadline, "the program does not end");
        }
        self.finish()
    }

    /// Ends the program at once, as a crash would, and returns what it had printed.
    pub fn kill(mut self) -> Finished {
        self.child.kill().expect("our own child can be killed");
        self.finish()
    }

    /// Waits for the end of the program, which must come this soon.
    pub fn finish_within(mut self, limit: Duration) -> Finished {
        self.deadline = Instant::now() + limit;
        self.finish()
    }

    /// Waits for the end of the program.
    pub fn finish(mut self) -> Finished {
        while self.receive() {}
        // Both pipes are closed, so the program has ended or is about to.
        let status = self.child.wait().expect("our own child can be waited for");
        Finished {
            code: status.code(),
            stdout: String::from_utf8(std::mem::take(&mut self.stdout))
                .expect("standard output is UTF-8"),
            stderr: String::from_utf8(std::mem::take(&mut self.stderr))
                .expect("standard error is UTF-8"),
        }
    }

    /// Takes in one piece of output; false when there will be no more. Past the time limit, kills
    /// the program and panics.
    fn receive(&mut self) -> bool {
        let left = self.deadline.saturating_duration_since(Instant::now());
        match self.output.recv_timeout(left) {
            Ok((Stream::Stdout, piece)) => self.stdout.extend(piece),
            Ok((Stream::Stderr, piece)) => self.stderr.extend(piece),
            Err(mpsc::RecvTimeoutError::Disconnected) => return false,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                drop(self.child.kill());
                panic!(
                    "the program did not end within its time limit\nstdout:\n{}\nstderr:\n{}",
                    String::from_utf8_lossy(&self.stdout),
                    String::from_utf8_lossy(&self.stderr)
                );
            }
        }
        true
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A test that failed half-way must not leave the program behind. After `finish` both
        // calls find the child gone and do nothing.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Finished {
    /// Panics with everything the program printed unless it ended with this exit code.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "unexpected exit code\nstdout:\n{}\nstderr:\n{}",
            self.stdout,
            self.stderr
        );
        self
    }
}

/// A temporary folder for manifests and their data, removed at the end of the test.
pub struct Folder {
    folder: TempDir,
}

impl Folder {
    /// An empty folder.
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder can be made"),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file, with the folders above it, and returns its path.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).expect("folders can be made in a temporary folder");
        }
        std::fs::write(&path, content).expect("files can be written in a temporary folder");
        path
    }

    /// Writes a manifest of these starts and returns its path as an argument.
    pub fn starts(&self, starts: impl IntoIterator<Item = Value>) -> OsString {
        let document = json!({
            "apiVersion": "temporal-manifest/v1",
            "kind": "Starts",
            "metadata": {"name": "test"},
            "starts": starts.into_iter().collect::<Vec<_>>(),
        });
        self.write("manifest.json", format!("{document:#}")).into()
    }

    /// Writes a manifest and returns its path as an argument.
    pub fn manifest(&self, content: &str) -> OsString {
        self.write("manifest.yaml", content).into()
    }
}
