//! One load run: users first, then every arrival at its intended moment, then what is still on its way.
//!
//! Belongs here: the order of a run and its bookkeeping. Does not belong here: a user's requests
//! (answer.rs), figures (report.rs).

use super::answer::{self, ActionError};
use super::http::Http;
use super::mix::{Arrival, plan_arrivals};
use super::report::{LoadReport, Tally};
use super::settings::{LoadError, LoadSettings};
use super::user::{Heard, User};
use crate::telemetry::{Class, Clock};
use flowreel_engine::model::time::TimeNs;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Users signed up at the same time.
const SETUP_PARALLEL: usize = 4;
/// Longest wait for what users are told about their first login.
const SETUP_DRAIN_NS: u64 = 20_000_000_000;
/// Reports on their way to the tally.
const REPORT_CAPACITY: usize = 65_536;

/// Runs the load and says what it took. Progress goes to the log.
///
/// # Errors
/// [`LoadError`] where the backend cannot be reached or refuses the users; failed requests are no error
/// but part of the report.
pub async fn run(settings: &LoadSettings, clock: Clock) -> Result<LoadReport, LoadError> {
    let http = Http::new(&settings.url);
    let stop = CancellationToken::new();
    let (heard, mut news) = channel(REPORT_CAPACITY);
    let users = create_users(settings, &http, clock).await?;
    let mut listeners = JoinSet::new();
    for user in &users {
        let socket = user.connect(&http).await?;
        let listening = user
            .clone()
            .listen(socket, clock, heard.clone(), stop.clone());
        listeners.spawn(listening);
    }
    drop(heard);
    settle(&users, &mut news, clock).await;
    tracing::info!("{} users are connected; requests begin", users.len());

    let tally = drive(settings, http, users, clock, &mut news).await;
    stop.cancel();
    let mut sockets_lost = 0;
    while let Some(held) = listeners.join_next().await {
        sockets_lost += u64::from(!held.unwrap_or(false));
    }
    Ok(tally.report(settings, sockets_lost))
}

async fn create_users(
    settings: &LoadSettings,
    http: &Http,
    clock: Clock,
) -> Result<Vec<User>, LoadError> {
    // Names must be new in a store that earlier runs filled.
    let run = format!("{:x}", clock.started_wall_ns());
    let mut users = Vec::new();
    let mut making = JoinSet::new();
    let mut next = 0;
    while next < settings.user_count || !making.is_empty() {
        if next < settings.user_count && making.len() < SETUP_PARALLEL {
            let (http, name) = (http.clone(), format!("load-{run}-{next}"));
            making.spawn(async move { (next, User::create(&http, &name).await) });
            next += 1;
            continue;
        }
        let Some(Ok((number, made))) = making.join_next().await else {
            continue;
        };
        let user = made.map_err(|error| setup_error(settings, error))?;
        // The notification of this first login comes once the socket is there.
        user.expected.add(Class::Login, u64::MAX);
        users.push((number, user));
    }
    users.sort_unstable_by_key(|(number, _)| *number);
    Ok(users.into_iter().map(|(_, user)| user).collect())
}

fn setup_error(settings: &LoadSettings, error: ActionError) -> LoadError {
    let url = settings.url.clone();
    match error {
        ActionError::Http(source) => LoadError::Unreachable { url, source },
        refused @ (ActionError::Refused { .. } | ActionError::Incomplete { .. }) => {
            LoadError::Refused {
                url,
                reason: refused.to_string(),
            }
        }
    }
}

/// Waits until every user has heard of its first login, so that none of that is taken for a measured one.
async fn settle(users: &[User], news: &mut Receiver<Heard>, clock: Clock) {
    let deadline = TimeNs(clock.now().0.saturating_add(SETUP_DRAIN_NS));
    while users.iter().any(|user| user.expected.count() > 0) {
        tokio::select! {
            heard = news.recv() => if heard.is_none() { return },
            () = clock.sleep_until(deadline) => break,
        }
    }
    for user in users {
        user.expected.remove(Class::Login, u64::MAX);
    }
}

/// What a finished request tells the tally.
enum Report {
    Sent {
        class: Class,
        lag_ns: u64,
    },
    Answered {
        ticket: u64,
        at: TimeNs,
        result: Result<(), ActionError>,
    },
}

struct Open {
    class: Class,
    intended: TimeNs,
    answered: Option<TimeNs>,
    heard: Option<TimeNs>,
    is_measured: bool,
}

async fn drive(
    settings: &LoadSettings,
    http: Http,
    users: Vec<User>,
    clock: Clock,
    news: &mut Receiver<Heard>,
) -> Tally {
    let arrivals = plan_arrivals(
        settings.rate_per_s,
        settings.duration_ns,
        &settings.mix,
        settings.seed,
    );
    let begin = clock.now();
    let users = Arc::new(users);
    let (reports, mut answers) = channel(REPORT_CAPACITY);
    let mut tally = Tally::new();
    let mut open: HashMap<u64, Open> = arrivals
        .iter()
        .zip(0..)
        .map(|(arrival, ticket)| {
            let intended = TimeNs(begin.0 + arrival.intended.0);
            let open = Open {
                class: arrival.class,
                intended,
                answered: None,
                heard: None,
                is_measured: arrival.intended.0 >= settings.warmup_ns,
            };
            (ticket, open)
        })
        .collect();
    let sender = send_all(arrivals, begin, http, Arc::clone(&users), clock, reports);
    let mut sending = JoinSet::new();
    sending.spawn(sender);
    let last_ns = begin.0 + settings.duration_ns;
    let deadline = TimeNs(last_ns.saturating_add(settings.drain_ns));
    let mut is_answered = false;
    loop {
        if is_answered && tally.is_all_delivered() {
            break;
        }
        tokio::select! {
            report = answers.recv(), if !is_answered => match report {
                Some(report) => take_report(&mut tally, &mut open, report),
                None => is_answered = true,
            },
            Some(heard) = news.recv() => take_heard(&mut tally, &mut open, heard),
            () = clock.sleep_until(deadline) => break,
        }
    }
    tally
}

/// Starts every arrival at its moment and waits for all answers; ends when the last one is in.
async fn send_all(
    arrivals: Vec<Arrival>,
    begin: TimeNs,
    http: Http,
    users: Arc<Vec<User>>,
    clock: Clock,
    reports: Sender<Report>,
) {
    let mut running = JoinSet::new();
    for (arrival, ticket) in arrivals.into_iter().zip(0_u64..) {
        let intended = TimeNs(begin.0 + arrival.intended.0);
        clock.sleep_until(intended).await;
        let lag_ns = clock.now().since_ns(intended);
        let (http, users, reports) = (http.clone(), Arc::clone(&users), reports.clone());
        running.spawn(async move {
            let class = arrival.class;
            // The tally outlives its senders, so a failed send means the run is over anyway.
            drop(reports.send(Report::Sent { class, lag_ns }).await);
            let result = act(&http, &users, arrival, ticket).await;
            let at = clock.now();
            drop(reports.send(Report::Answered { ticket, at, result }).await);
        });
        while running.try_join_next().is_some() {}
    }
    while running.join_next().await.is_some() {}
}

async fn act(
    http: &Http,
    users: &[User],
    arrival: Arrival,
    ticket: u64,
) -> Result<(), ActionError> {
    let count = users.len() as u64;
    let position = usize::try_from(arrival.user % count).unwrap_or(0);
    let user = &users[position];
    // Another user wherever there is one: nobody befriends himself.
    let step = 1 + arrival.user / count % count.saturating_sub(1).max(1);
    let other = usize::try_from((arrival.user % count + step) % count).unwrap_or(0);
    let listener = match arrival.class {
        Class::Login | Class::Purchase => Some(user),
        Class::FriendRequest => Some(&users[other]),
        Class::Signup | Class::ResetPassword => None,
    };
    if let Some(listener) = listener {
        listener.expected.add(arrival.class, ticket);
    }
    let result = match arrival.class {
        Class::Signup => {
            let name = format!(
                "{}-{ticket}",
                user.email.split('@').next().unwrap_or("load")
            );
            let email = format!("{name}@load.example");
            answer::sign_up(http, &name, &email, &user.password)
                .await
                .map(drop)
        }
        Class::Login => answer::log_in(http, &user.email, &user.password)
            .await
            .map(drop),
        Class::ResetPassword => answer::reset_password(http, &user.email).await.map(drop),
        Class::Purchase => {
            let item = format!("Item {ticket}");
            answer::purchase(http, &user.token, &item).await.map(drop)
        }
        Class::FriendRequest => answer::request_friend(http, &user.token, &users[other].id)
            .await
            .map(drop),
    };
    if let (Err(_), Some(listener)) = (&result, listener) {
        listener.expected.remove(arrival.class, ticket);
    }
    result
}

fn take_report(tally: &mut Tally, open: &mut HashMap<u64, Open>, report: Report) {
    match report {
        Report::Sent { class, lag_ns } => tally.sent(class, lag_ns),
        Report::Answered { ticket, at, result } => {
            let Some(request) = open.get_mut(&ticket) else {
                return;
            };
            match result {
                Err(error) => {
                    tally.failed(request.class, &error);
                    open.remove(&ticket);
                }
                Ok(()) => {
                    let is_expected =
                        !matches!(request.class, Class::Signup | Class::ResetPassword);
                    let http_ns = at.since_ns(request.intended);
                    let measured_ns = request.is_measured.then_some(http_ns);
                    tally.accepted(request.class, measured_ns, is_expected);
                    request.answered = Some(at);
                    if !is_expected || request.heard.is_some() {
                        settle_request(tally, open, ticket);
                    }
                }
            }
        }
    }
}

fn take_heard(tally: &mut Tally, open: &mut HashMap<u64, Open>, heard: Heard) {
    let Some(request) = open.get_mut(&heard.ticket) else {
        return;
    };
    debug_assert_eq!(request.class, heard.class, "tickets wait under their class");
    request.heard = Some(heard.at);
    if request.answered.is_some() {
        settle_request(tally, open, heard.ticket);
    }
}

/// Both the answer and the notification are in: the request is done.
fn settle_request(tally: &mut Tally, open: &mut HashMap<u64, Open>, ticket: u64) {
    let Some(request) = open.remove(&ticket) else {
        return;
    };
    if let (Some(answered), Some(heard)) = (request.answered, request.heard) {
        tally.delivered(
            request.class,
            heard.since_ns(request.intended),
            heard.since_ns(answered),
            request.is_measured,
        );
    }
}
