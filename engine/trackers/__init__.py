"""The figures of a run for other programs that draw them: TensorBoard, Weights & Biases, trackio.

Each is fed through its own library in a process of its own, which may fail, hang or print as it
likes: `engine.trackers.tracker` here, `engine.trackers.child` there.
"""
