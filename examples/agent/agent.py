"""An agent without any AI model: it answers a SIP call, plays a tone, then says again what the caller says.

usage: agent.py start, with LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET; AGENT_NAME and AGENT_PORT if you like.
"""

import asyncio
import math
import os
from array import array

from livekit import rtc
from livekit.agents import AgentServer, JobContext, JobExecutorType, cli

MAX_CALLS = 20
SAMPLE_RATE = 48_000
TONE_HERTZ, TONE_SECONDS = 1000, 0.5
SIP = rtc.ParticipantKind.PARTICIPANT_KIND_SIP

server = AgentServer(
    host="127.0.0.1",
    port=int(os.environ.get("AGENT_PORT", "8081")),
    # Light and quick. A process for each call, as is usual, keeps one call's crash from the others.
    job_executor_type=JobExecutorType.THREAD,
    num_idle_processes=1,  # one that is ready answers two seconds sooner
    # Calls, not CPU: a busy machine would report too much load and get no call at all.
    load_fnc=lambda worker: len(worker.active_jobs) / MAX_CALLS,
    load_threshold=0.95,
)


def tone() -> rtc.AudioFrame:
    """A tone that says: an agent is here."""
    count = int(SAMPLE_RATE * TONE_SECONDS)
    wave = (int(8000 * math.sin(2 * math.pi * TONE_HERTZ * place / SAMPLE_RATE)) for place in range(count))
    return rtc.AudioFrame(array("h", wave).tobytes(), SAMPLE_RATE, 1, count)


@server.rtc_session(agent_name=os.environ.get("AGENT_NAME", "echo"))
async def answer(context: JobContext) -> None:
    """Join the call's room. livekit-sip answers the call as soon as a track is published."""
    voice = rtc.AudioSource(SAMPLE_RATE, 1)
    speaking: set[asyncio.Task[None]] = set()

    async def echo(track: rtc.Track) -> None:
        async for event in rtc.AudioStream(track, sample_rate=SAMPLE_RATE, num_channels=1):
            await voice.capture_frame(event.frame)

    @context.room.on("local_track_subscribed")
    def _answered(*_: object) -> None:
        speaking.add(asyncio.create_task(voice.capture_frame(tone())))

    @context.room.on("track_subscribed")
    def _heard(track: rtc.Track, *_: object) -> None:
        if track.kind == rtc.TrackKind.KIND_AUDIO:
            speaking.add(asyncio.create_task(echo(track)))

    @context.room.on("participant_disconnected")
    def _gone(participant: rtc.RemoteParticipant) -> None:
        if participant.kind == SIP:
            context.shutdown("the caller hung up")

    await context.connect()
    track = rtc.LocalAudioTrack.create_audio_track("agent", voice)
    options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
    await context.room.local_participant.publish_track(track, options)


if __name__ == "__main__":
    cli.run_app(server)
