//! The connections of a listener: so many at a time. When one more comes, those that have been idle for longest make room, so that
//! whoever opens connections and asks for nothing keeps nobody out.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use env::{Env, Instant};
use hyper::{
    Request, Response,
    body::{Body, Frame, Incoming, SizeHint},
    service::Service,
};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// A connection is asked to make room only when nothing was under way for so long: its last answer may still be on its way.
const IDLE_MIN: Duration = Duration::from_secs(1);

/// How long it is waited for those that were asked, before others are.
const PAUSE: Duration = Duration::from_millis(250);

/// How long a connection that makes room and never served a request may take to close.
const LEAVE_MAX: Duration = Duration::from_secs(1);

/// How long a connection that makes room may take to send what is left of its last answer, of which the end is kept for it when
/// that answer counts as ended.
const FLUSH_MAX: Duration = Duration::from_secs(30);

/// What part of the connections is asked at a time, so that it need not be looked who is idle for every one that comes.
const SHARE: usize = 64;

/// The connections of a listener.
pub(super) struct Crowd {
    env: Env,
    permits: Arc<Semaphore>,
    most: usize,
    members: Arc<Members>,
    next: u64,
}

#[derive(Debug, Default)]
struct Members(Mutex<HashMap<u64, Member>>);

impl Members {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Member>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Member {
    activity: Activity,
    leave: Arc<Notify>,
}

/// The place of a connection, until this is dropped.
pub(super) struct Place {
    pub(super) activity: Activity,
    leave: Arc<Notify>,
    number: u64,
    members: Arc<Members>,
    _permit: OwnedSemaphorePermit,
}

impl Crowd {
    /// Of so many connections at most.
    pub(super) fn new(env: &Env, most: usize) -> Self {
        let permits = Arc::new(Semaphore::new(most));
        Self { env: env.clone(), permits, most, members: Arc::default(), next: 0 }
    }

    /// A place for a connection that has come. Waits for one where all of them are busy.
    pub(super) async fn place(&mut self) -> Place {
        let permit = loop {
            if let Ok(permit) = self.permits.clone().try_acquire_owned() {
                break permit;
            }
            self.make_room();
            let waiting = self.permits.clone().acquire_owned();
            if let Ok(Ok(permit)) = self.env.timeout(PAUSE, waiting).await {
                break permit;
            }
        };
        self.next += 1;
        let (activity, leave) = (Activity::new(&self.env), Arc::<Notify>::default());
        let member = Member { activity: activity.clone(), leave: leave.clone() };
        self.members.lock().insert(self.next, member);
        Place { activity, leave, number: self.next, members: self.members.clone(), _permit: permit }
    }

    /// Asks the idlest to leave.
    fn make_room(&self) {
        let (mut members, now) = (self.members.lock(), self.env.now());
        let idle = |(number, member): (&u64, &Member)| Some((member.activity.idle_time(now)?, *number));
        let mut idlest: Vec<_> =
            members.iter().filter_map(idle).filter(|(time, _)| *time >= IDLE_MIN).collect();
        idlest.sort_unstable_by(|one, other| other.cmp(one));
        idlest.truncate((self.most / SHARE).max(1));
        tracing::debug!(connections = idlest.len(), "idle connections make room for others");
        for (_, number) in idlest {
            if let Some(member) = members.remove(&number) {
                member.leave.notify_one();
            }
        }
    }

    /// Returns when no connection is left.
    pub(super) async fn gone(&self) {
        let all = u32::try_from(self.most).unwrap_or(u32::MAX);
        drop(self.permits.acquire_many(all).await);
    }
}

impl Place {
    /// Returns when the connection is to make room for another.
    pub(super) async fn asked_to_leave(&self) {
        self.leave.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.members.lock().remove(&self.number);
    }
}

/// What a connection is doing.
#[derive(Debug)]
struct State {
    /// Requests whose answers have not ended.
    under_way: usize,
    /// How many have begun.
    begun: u64,
    /// When the last one ended, or the connection began.
    idle_since: Instant,
}

/// Counts what a connection is doing.
#[derive(Debug, Clone)]
pub(super) struct Activity {
    env: Env,
    state: Arc<Mutex<State>>,
}

impl Activity {
    /// A connection that begins now.
    fn new(env: &Env) -> Self {
        let state = State { under_way: 0, begun: 0, idle_since: env.now() };
        Self { env: env.clone(), state: Arc::new(Mutex::new(state)) }
    }

    fn begin(&self) -> UnderWay {
        self.change(|state| {
            state.under_way += 1;
            state.begun += 1;
        });
        UnderWay(self.clone())
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// For how long nothing has been under way; `None` while something is.
    fn idle_time(&self, now: Instant) -> Option<Duration> {
        self.change(|state| (state.under_way == 0).then(|| now.since(state.idle_since)))
    }

    /// How many requests have begun; `None` while one is under way.
    pub(super) fn quiet(&self) -> Option<u64> {
        self.change(|state| (state.under_way == 0).then_some(state.begun))
    }

    /// Whether none is under way, and none has begun since so many had.
    pub(super) fn is_quiet_since(&self, begun: u64) -> bool {
        self.quiet() == Some(begun)
    }

    /// Returns once nothing has been under way for so long.
    pub(super) async fn idle_for(&self, time: Duration) {
        loop {
            let idle = self.idle_time(self.env.now());
            let left = idle.map_or(time, |idle| time.saturating_sub(idle));
            if left.is_zero() {
                return;
            }
            self.env.sleep(left).await;
        }
    }

    /// Returns once a connection that is asked to leave now may be cut: soon where nothing was ever under way, else not before all
    /// that is has ended, and its client has had time to take what it was sent.
    pub(super) async fn may_be_cut(&self) {
        self.env.sleep(LEAVE_MAX).await;
        if self.change(|state| state.begun > 0) {
            self.env.sleep(FLUSH_MAX - LEAVE_MAX).await;
            self.idle_for(FLUSH_MAX).await;
        }
    }
}

/// A request that is under way until this is dropped.
struct UnderWay(Activity);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let now = self.0.env.now();
        self.0.change(|state| {
            state.under_way -= 1;
            state.idle_since = now;
        });
    }
}

/// A service whose requests are counted.
pub(super) struct Counted<S> {
    pub(super) service: S,
    pub(super) activity: Activity,
}

impl<S, B> Service<Request<Incoming>> for Counted<S>
where
    S: Service<Request<Incoming>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: Send,
{
    type Response = Response<CountedBody<B>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let under_way = self.activity.begin();
        let answer = self.service.call(request);
        Box::pin(async move {
            let response = answer.await?;
            Ok(response.map(|body| CountedBody { body, _under_way: under_way }))
        })
    }
}

/// The body of an answer, which is under way until it is dropped.
pub(super) struct CountedBody<B> {
    body: B,
    _under_way: UnderWay,
}

impl<B: Body<Data = Bytes> + Unpin> Body for CountedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, sync::Arc, time::Duration};

    use bytes::Bytes;
    use env::Env;
    use http_body_util::Full;
    use hyper::{Response, server::conn::http1, service::service_fn};
    use hyper_util::rt::{TokioIo, TokioTimer};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
        sync::Notify,
    };

    use super::{super::Stay, Activity, Counted, Crowd, IDLE_MIN, LEAVE_MAX};
    use crate::{ShutdownTrigger, shutdown_channel};

    const MOMENT: Duration = Duration::from_millis(100);

    const ASK: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";

    /// A client's end of a connection, and what asks it to leave.
    struct Client {
        stream: DuplexStream,
        leave: Arc<Notify>,
        _running: ShutdownTrigger,
    }

    impl Client {
        /// Connects to what answers with so many bytes after some time. Few of them are on the way at a time.
        async fn connect(env: &Env, time: Duration, bytes: usize) -> Self {
            let (stream, connection) = duplex(16 << 10);
            let (running, shutdown) = shutdown_channel();
            let place = Crowd::new(env, 1).place().await;
            let leave = place.leave.clone();
            let stay = Arc::new(Stay { env: env.clone(), shutdown, place });
            let waiting = env.clone();
            let service = service_fn(move |_| {
                let env = waiting.clone();
                async move {
                    env.sleep(time).await;
                    Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(vec![b'a'; bytes]))))
                }
            });
            let service = Counted { service, activity: stay.place.activity.clone() };
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new());
            let serving = stay.serve(builder.serve_connection(TokioIo::new(connection), service));
            env.spawn(async move { drop(serving.await) });
            Self { stream, leave, _running: running }
        }

        /// What comes until the connection ends.
        async fn rest(&mut self) -> Vec<u8> {
            let mut rest = Vec::new();
            self.stream.read_to_end(&mut rest).await.expect("it ends");
            rest
        }
    }

    #[tokio::test]
    async fn a_request_that_begins_when_its_connection_is_to_leave_is_answered() {
        let env = Env::real();
        let mut client = Client::connect(&env, 3 * LEAVE_MAX, 1000).await;
        client.stream.write_all(&ASK[..10]).await.expect("it is open");
        env.sleep(MOMENT).await;
        client.leave.notify_one();
        client.stream.write_all(&ASK[10..]).await.expect("it is open");
        let answer = client.rest().await;
        assert!(answer.starts_with(b"HTTP/1.1 200") && answer.ends_with(&[b'a'; 1000]), "{answer:?}");
    }

    #[tokio::test]
    async fn an_answer_that_is_read_slowly_is_sent_to_its_end() {
        const BYTES: usize = 250 << 10;
        let env = Env::real();
        let mut client = Client::connect(&env, Duration::ZERO, BYTES).await;
        client.stream.write_all(ASK).await.expect("it is open");
        let first = client.stream.read_u8().await.expect("it answers");
        env.sleep(MOMENT).await;
        client.leave.notify_one();
        env.sleep(3 * LEAVE_MAX).await;
        let rest = client.rest().await;
        assert_eq!(first, b'H');
        assert_eq!(rest.iter().rev().take_while(|byte| **byte == b'a').count(), BYTES);
    }

    #[tokio::test]
    async fn a_connection_on_which_nothing_was_asked_is_cut_soon() {
        let env = Env::real();
        let mut client = Client::connect(&env, Duration::ZERO, 1).await;
        client.stream.write_all(&ASK[..10]).await.expect("it is open");
        client.leave.notify_one();
        assert_eq!(env.timeout(25 * LEAVE_MAX, client.rest()).await, Ok(Vec::new()));
    }

    #[tokio::test]
    async fn a_connection_is_idle_when_nothing_has_been_under_way_for_the_time() {
        let env = Env::real();
        let activity = Activity::new(&env);
        let began = env.now();
        activity.idle_for(MOMENT).await;
        assert!(env.now().since(began) >= MOMENT);

        let (first, second) = (activity.begin(), activity.begin());
        drop(first);
        assert!(env.timeout(3 * MOMENT, activity.idle_for(MOMENT)).await.is_err(), "one is still under way");
        let ended = env.now();
        drop(second);
        activity.idle_for(MOMENT).await;
        assert!(env.now().since(ended) >= MOMENT);
    }

    #[tokio::test]
    async fn the_idlest_make_room_and_the_busy_stay() {
        let env = Env::real();
        let mut crowd = Crowd::new(&env, 3);
        let busy = crowd.place().await;
        let under_way = busy.activity.begin();
        let idlest = crowd.place().await;
        env.sleep(MOMENT).await;
        let idle = crowd.place().await;
        let began = env.now();
        let leaving = async {
            idlest.asked_to_leave().await;
            drop(idlest);
        };
        let (fourth, ()) = tokio::join!(crowd.place(), leaving);
        assert!(env.now().since(began) >= IDLE_MIN - 2 * MOMENT, "not before it has been idle for some time");
        // Where all are busy, whoever comes waits.
        let others = [idle.activity.begin(), fourth.activity.begin()];
        assert!(env.timeout(2 * IDLE_MIN, crowd.place()).await.is_err());
        assert!(env.timeout(MOMENT, busy.asked_to_leave()).await.is_err());
        drop((under_way, busy));
        drop(crowd.place().await);
        drop((others, idle, fourth));
        crowd.gone().await;
        assert!(crowd.members.lock().is_empty());
    }
}
