//! The messages and the client generated from `proto/`.
//!
//! Modules follow the protobuf packages, because the generated code refers to its neighbours by
//! these relative paths.
#![allow(
    missing_docs,
    unreachable_pub,
    rustdoc::all,
    clippy::all,
    clippy::pedantic,
    reason = "generated code keeps none of our style rules"
)]

/// Messages of Google's that Temporal uses.
pub mod google {
    /// The gRPC status with its details.
    pub mod rpc {
        tonic::include_proto!("google.rpc");
    }
}

/// Temporal's packages.
pub mod temporal {
    /// The public API.
    pub mod api {
        /// Declares `<package>::v1`, filled with what `build.rs` generated for it.
        macro_rules! packages {
            ($($name:ident),* $(,)?) => {
                $(pub mod $name {
                    pub mod v1 {
                        include!(concat!(
                            env!("OUT_DIR"),
                            "/temporal.api.",
                            stringify!($name),
                            ".v1.rs"
                        ));
                    }
                })*
            };
        }

        packages! {
            common,
            deployment,
            enums,
            errordetails,
            failure,
            history,
            namespace,
            sdk,
            taskqueue,
            workflow,
            workflowservice,
        }
    }
}
