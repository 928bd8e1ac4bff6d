//! Runs as OpenTelemetry spans, with the feature `otlp`: their form, and a real collector that takes them.
#![cfg(feature = "otlp")]

mod after_run;
#[path = "../cli_support/mod.rs"]
mod cli_support;
mod client;
mod collector;
mod form;
mod http;
mod refused;
mod spans;
mod tls;
