//! Stage 3: starts, a [`Starter`], limits and a stop signal in; events out.

mod attempt;
mod context;
mod deadline;
pub mod engine;
pub mod event;
mod in_flight;
mod limits;
mod outcome;
pub mod pace;
pub mod protocol;
mod request_ids;
mod retry;
pub mod service;
mod silence;
mod stop_rule;
pub mod wait;

use futures::future::OptionFuture;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub use context::ApplyContext;
use engine::Work;
use event::{Event, Stopped};
pub use limits::{Limits, WaitLimits};
use service::Starter;
use silence::{Silence, WatchedService};
use wait::Waiter;

/// Makes all starts, waits for their Workflows if asked, and tells what happens. Returns why it
/// stopped before all starts were made, if it did.
pub async fn run<S: Starter>(
    service: &S,
    work: mpsc::Receiver<Work>,
    context: &ApplyContext,
    limits: Limits,
    stop: &CancellationToken,
    events: mpsc::Sender<Event>,
) -> Option<Stopped> {
    let silence = Silence::new(context.retry_for);
    let service = &WatchedService {
        service,
        silence: &silence,
    };
    let (sender, receiver) = mpsc::channel(limits.parallelism);
    let waiter = limits.wait.map(|limits| Waiter {
        service,
        silence: &silence,
        limits,
        retry_for: context.retry_for,
        stop,
        events: &events,
    });
    let waiting = waiter.as_ref().map(|waiter| waiter.run(receiver));
    let starting = async {
        let waits = limits.wait.map(|_| sender);
        engine::run(
            service,
            work,
            context,
            limits,
            stop,
            &events,
            waits.as_ref(),
        )
        .await
    };
    let both = async { futures::join!(starting, OptionFuture::from(waiting)) };
    tokio::select! {
        biased;
        (stopped, _) = both => stopped,
        never = silence.watch(&events) => match never {},
    }
}
