//! What a reverse proxy costs: a server that answers at once, and a client that keeps its connections.
//!
//! `proxy upstream COUNT` listens on so many free ports, prints them as one JSON line, and answers until its
//! input ends. `proxy drive ADDRESS CONNECTIONS SECONDS RATE METHOD PATH` asks over kept connections, as
//! fast as answers come where RATE is 0 and else at that rate in all, and prints its figures as one JSON line;
//! times count from the intended start. Threads that block, because they cost the least beside the proxy.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 62\r\n\r\n\
    {\"userId\":\"0123456789abcdef\",\"requestId\":\"1234567\",\"ok\":true   }";
const BODY: &str = r#"{"email":"somebody@people.example","password":"correct horse 1"}"#;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["upstream", count] => upstream(count.parse().expect("a number of ports")),
        ["drive", address, connections, seconds, rate, method, path] => drive(
            address,
            connections.parse().expect("a number of connections"),
            seconds.parse().expect("a number of seconds"),
            rate.parse().expect("requests per second"),
            &request(method, path, address),
        ),
        _ => panic!("usage: proxy upstream COUNT | proxy drive ADDRESS CONNECTIONS SECONDS RATE METHOD PATH"),
    }
}

fn upstream(count: usize) {
    let listeners: Vec<TcpListener> = (0..count)
        .map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port"))
        .collect();
    let ports: Vec<u16> = listeners
        .iter()
        .map(|listener| listener.local_addr().expect("it is bound").port())
        .collect();
    println!("{ports:?}");
    for listener in listeners {
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || answer(stream));
            }
        });
    }
    // Whoever started us holds the other end.
    let ended = std::io::stdin().read_to_end(&mut Vec::new());
    ended.expect("standard input can be read");
}

fn answer(mut stream: TcpStream) {
    stream.set_nodelay(true).expect("a TCP socket");
    let mut message = Message::default();
    while message.read(&mut stream) {
        if stream.write_all(ANSWER).is_err() {
            return;
        }
    }
}

/// A request or an answer with a body of known length.
#[derive(Default)]
struct Message {
    bytes: Vec<u8>,
}

impl Message {
    /// Reads one and forgets it; false where the other side has hung up.
    fn read(&mut self, stream: &mut TcpStream) -> bool {
        let mut buffer = [0; 4096];
        loop {
            if let Some(length) = whole_length(&self.bytes) {
                self.bytes.drain(..length);
                return true;
            }
            match stream.read(&mut buffer) {
                Ok(0) | Err(_) => return false,
                Ok(count) => self.bytes.extend_from_slice(&buffer[..count]),
            }
        }
    }
}

fn whole_length(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&bytes[..head]).expect("heads are text");
    let body = text
        .lines()
        .find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse::<usize>().expect("a length"))
        })
        .unwrap_or(0);
    (bytes.len() >= head + body).then_some(head + body)
}

fn request(method: &str, path: &str, host: &str) -> Vec<u8> {
    let body = if method == "POST" { BODY } else { "" };
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\nuser-agent: bench\r\naccept: */*\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

fn drive(address: &str, connections: u32, seconds: f64, rate: f64, request: &[u8]) {
    let begin = Instant::now();
    let length = Duration::from_secs_f64(seconds);
    let every = (rate > 0.0).then(|| Duration::from_secs_f64(f64::from(connections) / rate));
    let mut times_us: Vec<u32> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..connections)
            .map(|number| {
                let offset = every.map(|every| every / connections * number);
                scope.spawn(move || client(address, request, begin, length, every, offset))
            })
            .collect();
        let times = clients.into_iter().map(|client| client.join().expect("no panic"));
        times.flatten().collect()
    });
    let took_s = begin.elapsed().as_secs_f64();
    times_us.sort_unstable();
    let at = |share: f64| times_us[((times_us.len() - 1) as f64 * share) as usize];
    println!(
        "{{\"requests\":{},\"seconds\":{took_s},\"p50_us\":{},\"p99_us\":{},\"max_us\":{}}}",
        times_us.len(),
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

fn client(
    address: &str,
    request: &[u8],
    begin: Instant,
    length: Duration,
    every: Option<Duration>,
    offset: Option<Duration>,
) -> Vec<u32> {
    let mut stream = TcpStream::connect(address).expect("somebody listens");
    stream.set_nodelay(true).expect("a TCP socket");
    let (mut message, mut times_us) = (Message::default(), Vec::new());
    let mut due = begin + offset.unwrap_or_default();
    while due.duration_since(begin) < length {
        if every.is_some() {
            std::thread::park_timeout(due.saturating_duration_since(Instant::now()));
        } else {
            due = Instant::now();
        }
        stream.write_all(request).expect("the connection holds");
        assert!(message.read(&mut stream), "the connection was closed");
        times_us.push(due.elapsed().as_micros().try_into().expect("less than an hour"));
        due += every.unwrap_or_default();
        if every.is_none() {
            due = Instant::now();
        }
    }
    times_us
}
