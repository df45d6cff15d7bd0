//! The edge to the network.
pub mod api;
