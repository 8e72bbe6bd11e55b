// The trunks with their live status. Asked again whenever the subscription stands, so that nothing falls in between.
import { useEffect } from 'react';
import { useQuery, useSubscription } from 'urql';
import { CHANGES, TRUNKS } from './documents';

export function TrunkList({ standing }: { standing: number }) {
  const [live] = useSubscription({ query: CHANGES });
  const [{ data, error }, refetch] = useQuery({ query: TRUNKS, requestPolicy: 'cache-and-network' });
  const change = live.data?.sipTrunkChanged;
  // What a change brings is the trunk as it stands now; only a new or vanished one needs the list again.
  useEffect(() => {
    if (change || standing) refetch({ requestPolicy: 'network-only' });
  }, [change, standing, refetch]);

  return (
    <section aria-label="Trunks">
      <h2>Trunks</h2>
      {(error ?? live.error) && <p role="alert">{(error ?? live.error)?.message}</p>}
      <ul>
        {data?.sipTrunks.nodes.map((trunk) => (
          <li key={trunk.id}>
            <strong>{trunk.nickname ?? trunk.phoneNumber}</strong> {trunk.phoneNumber}
            <span className={`status ${trunk.status}`}>{trunk.status}</span>
            <small>{[trunk.inboundTrunkId, trunk.outboundTrunkId].filter(Boolean).join(' · ')}</small>
          </li>
        ))}
      </ul>
    </section>
  );
}
