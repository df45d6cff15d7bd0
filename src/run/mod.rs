//! Stage 3: starts, a [`Starter`], limits and a stop signal in; events out.

pub mod attempt;
pub mod engine;
pub mod event;
mod outcome;
pub mod pace;
pub mod protocol;
mod request_ids;
mod retry;
pub mod service;
mod silence;
pub mod wait;

use futures::future::OptionFuture;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use attempt::ApplyContext;
use engine::Work;
use event::{Event, Stopped};
use service::Starter;
use silence::{Listening, Silence};
use wait::{WaitLimits, Waiter};

/// How much may happen at a time, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most starts in flight. At least 1, default 32.
    pub parallelism: usize,
    /// Most starts per second, each attempt counted. Default: as many as the service takes.
    pub starts_per_second: Option<f64>,
    /// Most starts that may fail before no further one is made. Default: all.
    pub max_failures: Option<u64>,
    /// Whether and how long Workflows are waited for. Default: not at all.
    pub wait: Option<WaitLimits>,
}

/// Makes all starts, waits for their Workflows if asked, and tells what happens. Returns why it
/// stopped before all starts were made, if it did.
pub async fn run<S: Starter>(
    starter: &S,
    work: mpsc::Receiver<Work>,
    context: &ApplyContext,
    limits: Limits,
    stop: &CancellationToken,
    events: mpsc::Sender<Event>,
) -> Option<Stopped> {
    let silence = Silence::new(context.retry_for);
    let starter = &Listening {
        starter,
        silence: &silence,
    };
    let (sender, receiver) = mpsc::channel(limits.parallelism);
    let waiter = limits.wait.map(|limits| Waiter {
        service: starter,
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
            starter,
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

/// Sleeps until a deadline; without one, for ever.
async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
