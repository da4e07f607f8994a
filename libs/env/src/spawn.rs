//! Background tasks.

use std::{
    future::Future,
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::Thread,
};

/// A running task. Awaiting it gives its output, or `None` when it panicked or was aborted.
#[derive(Debug)]
pub struct Task<T> {
    handle: tokio::task::JoinHandle<T>,
}

impl<T> Task<T> {
    /// Stops the task at its next await. Blocking work that has begun runs to its end.
    pub fn abort(&self) {
        self.handle.abort();
    }

    /// Whether the task has ended.
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }
}

impl<T> Future for Task<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.handle).poll(context).map(Result::ok)
    }
}

/// What a simulation does with tasks: it ends those of a process that it kills, and it decides how long blocking work
/// takes, which then runs on the one thread that everything runs on.
pub trait Spawner: Send + Sync + 'static {
    /// A task has been spawned. A process that is dead aborts it at once.
    fn spawned(&self, task: tokio::task::AbortHandle);
    /// The time that a piece of blocking work takes before its effect is there.
    fn work_time(&self) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// Where tasks run.
#[derive(Clone, Default)]
pub(crate) enum Spawning {
    /// On tokio's runtime and on threads.
    #[default]
    Real,
    /// On tokio's runtime alone, watched by a simulation.
    Simulated(Arc<dyn Spawner>),
}

impl Spawning {
    pub(crate) fn spawn<F>(&self, future: F) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let handle = tokio::spawn(future);
        if let Self::Simulated(spawner) = self {
            spawner.spawned(handle.abort_handle());
        }
        Task { handle }
    }

    pub(crate) fn spawn_blocking<F, T>(&self, work: F) -> Task<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        match self {
            Self::Real => Task { handle: tokio::task::spawn_blocking(work) },
            Self::Simulated(spawner) => {
                let time = spawner.work_time();
                self.spawn(async move {
                    time.await;
                    work()
                })
            }
        }
    }

    pub(crate) fn spawn_waiting<F>(&self, work: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        match self {
            Self::Real => drop(tokio::task::spawn_blocking(move || block_on(work))),
            Self::Simulated(_) => drop(self.spawn(work)),
        }
    }

    pub(crate) fn spawn_thread<F>(&self, name: &str, work: F) -> io::Result<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        match self {
            Self::Real => {
                let thread = std::thread::Builder::new().name(name.to_owned());
                thread.spawn(move || block_on(work)).map(drop)
            }
            Self::Simulated(spawner) => {
                drop(self.spawn(Paced { spawner: spawner.clone(), pause: None, work: Box::pin(work) }));
                Ok(())
            }
        }
    }
}

/// Runs a future on this thread, which sleeps while the future waits.
fn block_on(work: impl Future<Output = ()>) {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut work = pin!(work);
    while work.as_mut().poll(&mut context).is_pending() {
        std::thread::park();
    }
}

/// A simulated thread: each time it is woken, time passes before it goes on.
struct Paced {
    spawner: Arc<dyn Spawner>,
    pause: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    work: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Future for Paced {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let pause = this.pause.get_or_insert_with(|| this.spawner.work_time());
        std::task::ready!(pause.as_mut().poll(context));
        this.pause = None;
        this.work.as_mut().poll(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::{mpsc, oneshot};

    use super::Spawning;

    #[tokio::test]
    async fn a_thread_works_off_its_queue_and_may_block() {
        let (sender, mut queue) = mpsc::channel::<oneshot::Sender<u32>>(1);
        let work = async move {
            let mut answered = 0;
            while let Some(reply) = queue.recv().await {
                answered += 1;
                // On a thread where that is allowed.
                std::thread::sleep(std::time::Duration::from_millis(1));
                let _ = reply.send(answered);
            }
        };
        Spawning::Real.spawn_thread("queue", work).unwrap();
        for expected in 1..=3 {
            let (reply, answer) = oneshot::channel();
            sender.send(reply).await.unwrap();
            assert_eq!(answer.await, Ok(expected));
        }
    }
}
