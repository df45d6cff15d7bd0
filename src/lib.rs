//! Declarative runner for Temporal Workflow starts.
//!
//! ```text
//! YAML text ─▶ Manifest ─▶ Start, one by one ─▶ Event, one by one ─▶ Summary ─▶ exit code
//!              manifest/   expand/              run/                 report/    cli/
//!              edges:  client/ = the network   journal/ = the disk   cli/ = the person
//! ```
//!
//! Data only moves right. No stage calls back into an earlier one; [`apply`] joins them.
//!
//! A program that applies manifests by itself needs no more than this:
//!
//! ```
//! use temporal_manifest::{ApplySettings, Connected, Inputs, Reporters, Stop, prepare};
//! # use temporal_manifest::expand::start::Start;
//! # use temporal_manifest::run::service::{
//! #     Description, Lookups, PollKind, RunClose, ServiceError, StartAnswer, StartRequest, Starter,
//! # };
//! # struct Accepting;
//! # impl Starter for Accepting {
//! #     async fn start(&self, _: &Start, _: &StartRequest) -> Result<StartAnswer, ServiceError> {
//! #         let run = "run".to_owned();
//! #         Ok(StartAnswer { run_id: run.clone(), first_run_id: run, began: true })
//! #     }
//! #     async fn terminate(&self, _: &str, _: &str) -> Result<(), ServiceError> {
//! #         Ok(())
//! #     }
//! # }
//! # impl Lookups for Accepting {
//! #     async fn describe(&self, _: &str, _: &str) -> Result<Description, ServiceError> {
//! #         Ok(Description { open: true, first_run_id: None, request_id: None })
//! #     }
//! #     async fn close(
//! #         &self,
//! #         _: &str,
//! #         _: &str,
//! #         _: PollKind,
//! #     ) -> Result<Option<RunClose>, ServiceError> {
//! #         Ok(None)
//! #     }
//! # }
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("greetings.yaml");
//! let manifest = "
//! apiVersion: temporal-manifest/v1
//! kind: Starts
//! metadata: {name: greetings}
//! starts:
//!   - {workflowId: hello, type: Greet, taskQueue: greetings}
//! ";
//! std::fs::write(&path, manifest)?;
//!
//! // Everything that needs no network. A `Refusal` says what is wrong, and what to do.
//! let session = prepare(ApplySettings::new(Inputs::of([path])))?;
//!
//! // The service is anything that implements `Starter`, such as what `client::connect` gives.
//! let connecting = async { Ok(Connected::new(Accepting)) };
//! let stop = Stop::default();
//! let applying = session.run(connecting, Reporters::default(), &stop, |_note| ());
//! let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! let applied = runtime.block_on(applying)?;
//! assert_eq!(applied.told.ending.summary.started, 1);
//! # Ok(())
//! # }
//! ```

pub mod disk;
pub mod visible;

pub mod manifest;

pub mod expand;

pub mod client;

pub mod run;

pub mod journal;

pub mod report;

pub mod apply;

pub use apply::connected::{Connected, NotConnected};
pub use apply::inputs::Inputs;
pub use apply::note::Note;
pub use apply::refusal::Refusal;
pub use apply::session::{Applied, Session, prepare};
pub use apply::settings::{ApplySettings, KeepIn, MaxFailures};
pub use apply::stop::Stop;
pub use report::ending::Ending;
pub use report::reporter::Reporter;
pub use report::reporters::Reporters;
pub use run::event::Event;
