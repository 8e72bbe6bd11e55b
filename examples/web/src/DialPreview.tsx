// What the carrier will see of a call: asked anew whenever something of it changes.
import { useState } from 'react';
import { useQuery } from 'urql';
import { DIAL_PREVIEW } from './documents';
import type { DialPreviewInput } from './gql/graphql';

export function DialPreview({ trunk }: { trunk: Omit<DialPreviewInput, 'destination'> }) {
  const [destination, setDestination] = useState('');
  const unknown = trunk.sipTrunkType === 'EXTENSION' && !trunk.countryCode; // a number tells its country itself
  const pause = !destination || !trunk.phoneNumber || !trunk.sipAddress || unknown;
  const [{ data, error }] = useQuery({ query: DIAL_PREVIEW, variables: { input: { ...trunk, destination } }, pause });
  const seen = pause ? undefined : data?.dialPreview;
  return (
    <fieldset>
      <legend>Dial preview</legend>
      <label>
        Destination
        <input value={destination} onChange={(event) => setDestination(event.target.value)} placeholder="+12025550123" />
      </label>
      {seen && !seen.problem && (
        <output>
          {seen.requestUri} from {seen.fromUser}
        </output>
      )}
      {seen?.problem && <p className="warning">{seen.problem}</p>}
      {error && !pause && <p role="alert">{error.message}</p>}
    </fieldset>
  );
}
