//! The live backend from outside: the built program on real ports, files, sockets and mails.
//!
//! Belongs here: one file per topic. Does not belong here: rules of single files (unit tests).

#[cfg(test)]
mod access;
#[cfg(test)]
mod administrators;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod balance;
#[cfg(test)]
mod both_queues;
#[cfg(test)]
mod broadcast;
#[cfg(test)]
mod connections;
#[cfg(test)]
mod control;
#[cfg(test)]
mod control_races;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod deploy;
#[cfg(test)]
mod failover;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod figures;
#[cfg(test)]
mod first_flow;
#[cfg(test)]
mod foul_play;
#[cfg(test)]
mod full_disk;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod in_app_runs;
#[cfg(test)]
mod kills;
#[cfg(test)]
mod lists;
#[cfg(test)]
mod live_events;
#[cfg(test)]
mod live_health;
#[cfg(test)]
mod live_slow;
#[cfg(test)]
mod live_status;
#[cfg(test)]
mod load;
#[cfg(test)]
mod login_tokens;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod mongodb;
#[cfg(test)]
mod npm;
#[cfg(test)]
mod order;
#[cfg(test)]
mod path;
#[cfg(test)]
mod points;
#[cfg(test)]
mod privacy;
#[cfg(test)]
mod queues;
#[cfg(test)]
mod raw;
#[cfg(test)]
mod redis_batches;
#[cfg(test)]
mod redis_load;
#[cfg(test)]
mod redis_outages;
#[cfg(test)]
mod redis_queues;
#[cfg(test)]
mod relay;
#[cfg(test)]
mod retries;
#[cfg(test)]
mod roles;
#[cfg(test)]
mod roles_control;
#[cfg(test)]
mod roles_kills;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod service_logins;
#[cfg(test)]
mod services;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod settings_seen;
#[cfg(test)]
mod shortage;
#[cfg(test)]
mod socket_limits;
#[cfg(test)]
mod stock_client;
#[cfg(test)]
mod store_facts;
#[cfg(test)]
mod whole_system;
