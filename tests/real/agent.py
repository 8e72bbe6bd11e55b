"""A real agent worker without any AI model: it answers a SIP call and plays back what the caller says.

usage: agent.py start, with LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET, AGENT_NAME and AGENT_PORT.
"""

import asyncio
import os

from livekit import rtc
from livekit.agents import AgentServer, JobContext, cli

SAMPLE_RATE = 48_000
MAX_CALLS = 10
SIP = rtc.ParticipantKind.PARTICIPANT_KIND_SIP

server = AgentServer(
    host="127.0.0.1",
    port=int(os.environ["AGENT_PORT"]),
    num_idle_processes=1,  # a process that is ready answers two seconds sooner
    # Calls, not CPU: a busy machine would report too much load and get no call at all.
    load_fnc=lambda worker: len(worker.active_jobs) / MAX_CALLS,
    load_threshold=0.95,
)


@server.rtc_session(agent_name=os.environ["AGENT_NAME"])
async def answer(context: JobContext) -> None:
    """Join the call's room. livekit-sip answers the call as soon as a track is published."""
    source = rtc.AudioSource(SAMPLE_RATE, 1)
    echoes: set[asyncio.Task[None]] = set()

    async def echo(track: rtc.Track) -> None:
        async for event in rtc.AudioStream(track, sample_rate=SAMPLE_RATE, num_channels=1):
            await source.capture_frame(event.frame)

    @context.room.on("track_subscribed")
    def _heard(track: rtc.Track, *_: object) -> None:
        if track.kind == rtc.TrackKind.KIND_AUDIO:
            echoes.add(asyncio.create_task(echo(track)))

    @context.room.on("participant_disconnected")
    def _gone(participant: rtc.RemoteParticipant) -> None:
        if participant.kind == SIP:
            context.shutdown("the caller hung up")

    await context.connect()
    track = rtc.LocalAudioTrack.create_audio_track("agent", source)
    options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
    await context.room.local_participant.publish_track(track, options)


if __name__ == "__main__":
    cli.run_app(server)
