//! How much may happen at a time, and for how long.

use std::time::Duration;

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

/// How long Workflows are waited for.
#[derive(Clone, Copy, Debug)]
pub struct WaitLimits {
    /// Longest time from the end of the starts; `None` is no limit.
    pub timeout: Option<Duration>,
}
