//! A whole apply through the library, as a program that embeds it makes one: no command line, no
//! network, a scripted service.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use temporal_manifest::apply::connected::{Connected, NotConnected};
use temporal_manifest::apply::inputs::Inputs;
use temporal_manifest::apply::note::Note;
use temporal_manifest::apply::refusal::{Code, Kind, Refusal};
use temporal_manifest::apply::session::{Applied, prepare};
use temporal_manifest::apply::settings::{ApplySettings, KeepIn};
use temporal_manifest::apply::stop::Stop;
use temporal_manifest::expand::identity::IdempotencyKey;
use temporal_manifest::expand::start::Start;
use temporal_manifest::report::ending::Ending;
use temporal_manifest::report::formats::json::JsonReport;
use temporal_manifest::report::replay::Replay;
use temporal_manifest::report::reporter::Reporter;
use temporal_manifest::report::reporters::Reporters;
use temporal_manifest::report::target::ReportTarget;
use temporal_manifest::run::event::{Event, Outcome, Stopped};
use temporal_manifest::run::service::{
    Description, Lookups, PollKind, RunClose, ServiceError, StartAnswer, StartRequest, Starter,
};

use crate::engine::{Reply, Service};
use crate::support::binary::Folder;

/// The scripted service, which also tells what it knows of its runs.
#[derive(Clone)]
struct Scripted(Arc<Service>);

impl Scripted {
    fn new(script: Vec<Reply>) -> Self {
        Scripted(Arc::new(Service::new(script, Duration::ZERO)))
    }

    fn calls(&self) -> usize {
        self.0.calls.load(Ordering::SeqCst)
    }
}

impl Starter for Scripted {
    async fn start(
        &self,
        start: &Start,
        request: &StartRequest,
    ) -> Result<StartAnswer, ServiceError> {
        self.0.start(start, request).await
    }

    async fn terminate(&self, workflow_id: &str, first_run_id: &str) -> Result<(), ServiceError> {
        self.0.terminate(workflow_id, first_run_id).await
    }
}

impl Lookups for Scripted {
    async fn describe(&self, workflow_id: &str, _: &str) -> Result<Description, ServiceError> {
        Ok(Description {
            open: true,
            first_run_id: None,
            request_id: self.0.request_of(workflow_id),
        })
    }

    async fn close(
        &self,
        workflow_id: &str,
        run_id: &str,
        poll: PollKind,
    ) -> Result<Option<RunClose>, ServiceError> {
        self.0.close(workflow_id, run_id, poll).await
    }
}

/// What a reporter was told.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    fn note(&self, how: &str, event: &Event) {
        let words = match event {
            Event::ApplyStarted(started) => format!("{how} began {:?}", started.total),
            Event::StartFinished(it) => {
                format!("{how} {} {}", it.workflow_id, it.outcome.as_str())
            }
            Event::ApplyFinished(finished) => format!("{how} ended {:?}", finished.stopped),
            _ => return,
        };
        self.0.lock().expect("no test panics here").push(words);
    }

    fn words(&self) -> Vec<String> {
        self.0.lock().expect("no test panics here").clone()
    }
}

impl Reporter for Heard {
    fn name(&self) -> String {
        "a list".to_owned()
    }

    fn recall(&mut self, event: &Event) {
        self.note("recalled", event);
    }

    fn hear(&mut self, event: &Event) -> io::Result<()> {
        self.note("heard", event);
        Ok(())
    }

    fn finish(&mut self, ending: &Ending, _: &mut Replay) -> io::Result<()> {
        let summary = ending.summary.starts_in_words();
        let mut words = self.0.lock().expect("no test panics here");
        words.push(format!("finished: {summary}"));
        Ok(())
    }
}

/// A folder with a manifest of three starts.
fn folder() -> Folder {
    let folder = Folder::new();
    let start = |id: &str| json!({"workflowId": id, "type": "Scripted", "taskQueue": "scripted"});
    folder.starts(["a", "b", "c"].map(start));
    folder
}

/// An apply of that manifest, one start after the other.
fn settings(folder: &Folder) -> ApplySettings {
    let inputs = Inputs::of([folder.path().join("manifest.json")]);
    ApplySettings {
        key: Some(IdempotencyKey::given("embedded")),
        parallelism: 1,
        ..ApplySettings::new(inputs)
    }
}

/// Applies, and returns what it came to.
fn apply(
    settings: ApplySettings,
    connected: Result<Scripted, NotConnected>,
    reporters: Reporters,
    stop: &Stop,
) -> Result<Applied, Refusal> {
    let session = prepare(settings)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime starts");
    let connecting = async { connected.map(Connected::new) };
    runtime.block_on(session.run(connecting, reporters, stop, |note| {
        assert_eq!(*note, Note::OnlyNameCompared);
    }))
}

#[test]
fn a_manifest_on_disk_is_applied_and_reported() {
    let folder = folder();
    let report = folder.path().join("report.json");
    let heard = Heard::default();
    let service = Scripted::new(vec![Reply::Answer, Reply::Refuse, Reply::LostAnswer]);
    let reporters = Reporters::default()
        .with_display(heard.clone())
        .with_report(Box::new(JsonReport::new(ReportTarget::Path(
            report.clone(),
        ))));
    let applied = apply(settings(&folder), Ok(service), reporters, &Stop::default());
    let told = applied.expect("it begins").told;
    let summary = &told.ending.summary;
    assert_eq!((summary.total, summary.started, summary.failed), (3, 2, 1));
    assert_eq!(told.ending.stopped(), None);
    assert!(told.failure.is_none() && told.reports.is_empty() && told.output.is_none());
    assert_eq!(
        heard.words(),
        [
            "heard began Some(3)",
            "heard a started",
            "heard b failed",
            "heard c started",
            "heard ended None",
            "finished: 2 started, 1 failed"
        ]
    );
    let report = std::fs::read(report).expect("the report was written");
    let report: Value = serde_json::from_slice(&report).expect("it is JSON");
    assert_eq!(report["summary"]["started"], 2);
    assert_eq!(report["starts"][1]["outcome"], Outcome::Failed.as_str());
}

#[test]
fn a_journal_is_gone_on_with() {
    let folder = folder();
    let journal = folder.path().join("journal");
    let service = Scripted::new(vec![Reply::Answer, Reply::Refuse]);
    let first = ApplySettings {
        journal: KeepIn::New(journal.clone()),
        // One after the other: it is the second that is refused.
        parallelism: 1,
        ..settings(&folder)
    };
    let stop = Stop::default();
    let applied = apply(first, Ok(service.clone()), Reporters::default(), &stop);
    assert_eq!(applied.expect("it begins").told.ending.summary.failed, 1);
    let calls = service.calls();
    let heard = Heard::default();
    let second = ApplySettings {
        key: None,
        journal: KeepIn::Resumed(journal.clone()),
        ..settings(&folder)
    };
    let reporters = Reporters::default().with_display(heard.clone());
    let applied = apply(second, Ok(service.clone()), reporters, &stop).expect("it begins");
    assert_eq!(applied.told.ending.summary.started, 3);
    assert_eq!(service.calls(), calls + 1, "only what had failed is sent");
    assert_eq!(
        heard.words(),
        [
            "recalled a started",
            "recalled c started",
            "heard began Some(3)",
            "heard b started",
            "heard ended None",
            "finished: 3 started"
        ]
    );
    let other = ApplySettings {
        key: Some(IdempotencyKey::given("another")),
        journal: KeepIn::Resumed(journal),
        ..settings(&folder)
    };
    let refusal = prepare(other).expect_err("the journal has its own key");
    assert_eq!((refusal.code, refusal.kind), (Code::Usage, Kind::Usage));
    assert!(refusal.message.contains("`embedded`"), "{refusal}");
}

#[test]
fn what_cannot_begin_is_refused_with_all_that_is_wrong() {
    let folder = Folder::new();
    folder.starts([json!({"typ": "T", "taskQueue": "q"}), json!({"type": "T"})]);
    let refusal = prepare(settings(&folder)).expect_err("it is invalid");
    assert_eq!(
        (refusal.code, refusal.kind),
        (Code::Manifest, Kind::Invalid)
    );
    let findings = refusal.findings.expect("it says what is wrong");
    assert!(findings.problems() >= 2 && !findings.are_sound());
    assert_eq!(refusal.message, format!("{} problems", findings.problems()));
}

#[test]
fn a_stop_and_a_missing_service_are_endings() {
    let folder = folder();
    let stop = Stop::default();
    stop.stop(Stopped::Timeout);
    let service = Scripted::new(Vec::new());
    let applied = apply(
        settings(&folder),
        Ok(service.clone()),
        Reporters::default(),
        &stop,
    );
    let ending = applied.expect("it begins").told.ending;
    assert_eq!(ending.stopped(), Some(&Stopped::Timeout));
    assert_eq!((ending.summary.skipped, service.calls()), (3, 0));
    let missing = NotConnected {
        message: "nothing listens there".to_owned(),
        help: None,
    };
    let applied = apply(
        settings(&folder),
        Err(missing.clone()),
        Reporters::default(),
        &Stop::default(),
    );
    let ending = applied.expect("it begins").told.ending;
    let NotConnected { message, help } = missing;
    assert_eq!(
        ending.stopped(),
        Some(&Stopped::NoConnection { message, help })
    );
    assert_eq!(ending.summary.skipped, 3);
}
