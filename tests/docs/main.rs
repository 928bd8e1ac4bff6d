//! The pages in `docs/` and the README: what is generated is up to date, every command runs, every link leads somewhere.

#[path = "../cli_support/mod.rs"]
mod cli_support;
mod commands;
mod links;
#[path = "../support/pages.rs"]
mod pages;
mod reference;
mod sandbox;
mod table;
