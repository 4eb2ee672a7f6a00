//! The live notification backend that records every stage event.

mod app;
pub mod cli;
mod config;
mod control;
mod controllers;
mod email;
mod error;
mod faults;
mod gateway;
mod injection;
pub mod load;
mod load_balancer;
mod middleware;
mod models;
mod notification_service;
mod open_files;
mod operations;
mod queue;
mod request;
mod router;
mod security;
mod server;
mod status;
mod store;
pub mod telemetry;
mod websocket;
mod worker;
