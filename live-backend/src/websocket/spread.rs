//! What keeps the sockets of several processes one system: signs of life, confirmations, rooms.
//!
//! Belongs here: the tasks that run beside the sockets. Does not belong here: keys (presence), sockets.

use super::bus::{Adapter, BusError, next_heard};
use super::message::InAppMessage;
use super::namespace::{EVERYBODY, adapter_over, bus_error};
use super::presence::{Confirmation, RENEWAL};
use super::registry::{DeliveryFault, Sockets};
use crate::models::{UserId, WallMs};
use crate::store::Store;
use crate::telemetry::{Clock, Place};
use socketioxide_redis::drivers::Driver;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Confirmations that may wait for this process.
const CONFIRMATIONS_MAX: usize = 4096;

impl Sockets {
    /// Says every second that these servers live, until stopped.
    pub(crate) fn start_presence(
        &self,
        servers: Vec<Place>,
        tracker: &TaskTracker,
        stop: &CancellationToken,
    ) {
        if self.presence().is_none() {
            return;
        }
        let (sockets, stop) = (self.clone(), stop.clone());
        tracker.spawn(async move {
            // What an earlier start of these servers said holds no more.
            for &server in &servers {
                sockets.leave(server).await;
            }
            let mut ticks = tokio::time::interval(RENEWAL);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => break,
                    _now = ticks.tick() => {}
                }
                for &server in &servers {
                    sockets.renew(server).await;
                }
            }
            for &server in &servers {
                sockets.leave(server).await;
            }
        });
    }

    /// Takes in what clients confirm to other processes, until stopped.
    pub(crate) async fn start_confirmations(
        &self,
        store: &Store,
        clock: Clock,
        tracker: &TaskTracker,
        stop: &CancellationToken,
    ) -> Result<(), BusError> {
        let Some(presence) = self.presence() else {
            return Ok(());
        };
        let channel = presence.own_channel();
        let mut heard = self.bus().subscribe(channel, CONFIRMATIONS_MAX).await?;
        let (sockets, store, stop) = (self.clone(), store.clone(), stop.clone());
        tracker.spawn(async move {
            while let Some(message) = next_heard(&mut heard, &stop).await {
                let Ok(confirmation) = serde_json::from_slice(&message) else {
                    tracing::warn!("a confirmation from another process cannot be read");
                    continue;
                };
                sockets.take_in(confirmation, &store, clock).await;
            }
        });
        Ok(())
    }

    async fn take_in(&self, confirmation: Confirmation, store: &Store, clock: Clock) {
        let Confirmation {
            user,
            notification,
            socket_id,
        } = confirmation;
        let user = UserId(user);
        if self.confirm_here(user, &notification, socket_id.clone()) {
            return;
        }
        // The worker gave up just before it came.
        let now = WallMs(clock.wall_ms());
        let stored = store.confirm_late(user, notification, socket_id, now).await;
        if let Err(error) = stored {
            tracing::error!(%error, "a late confirmation cannot be stored: {error}");
        }
    }

    /// A way to the rooms of all servers for a process that has no server itself.
    pub(crate) async fn reach_rooms(&self) -> Result<(), BusError> {
        let (_layer, io) = socketioxide::SocketIo::builder()
            .with_adapter::<Adapter>(adapter_over(self.bus()))
            .build_layer();
        // Nobody connects here; the namespace is where the rooms are.
        io.ns("/", async || {}).await.map_err(bus_error)?;
        self.reach_rooms_by(io);
        Ok(())
    }

    /// Sends to everybody who has proved who they are, on all servers.
    pub(crate) async fn broadcast(&self, message: &InAppMessage) -> Result<(), DeliveryFault> {
        let rooms = self.rooms().ok_or(DeliveryFault::Unwritable)?;
        let sent = rooms
            .to(EVERYBODY)
            .emit("notification:broadcast", message)
            .await;
        sent.map_err(|error| {
            tracing::warn!(%error, "a broadcast does not reach the servers: {error}");
            DeliveryFault::Unwritable
        })
    }
}
