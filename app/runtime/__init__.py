"""Where processes are put together: embedded servers, the supervisor, the wiring of a worker, the demo."""
